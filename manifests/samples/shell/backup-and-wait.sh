#!/bin/sh
# Back up a VM, and come back when the backup has succeeded:
#
#   backup-and-wait.sh RESOURCE-GROUP VAULT VM && helm upgrade shop ./shop
#
# It exits with 0 then, and only then. With another status it exits when az or kubectl fails, when the backup does not
# start, when it fails, is cancelled or ends with warnings, and when it has not ended TIMEOUT seconds (default: 14400)
# after az has started it. Needs az, signed in, and kubectl, whose current namespace gets the watch: the right to
# create, get, list and watch backupjobwatches there. The watch is left there, to be looked at.
#
# Each call makes a watch of its own for the very job that it has started: there is no older verdict to be taken for
# this one. kubectl can wait for one condition only, so the first wait is for the end, well or badly, and the second
# tells which.
set -eu

if [ $# -ne 3 ]; then
  echo "usage: $0 RESOURCE-GROUP VAULT VM" >&2
  exit 2
fi
timeout=${TIMEOUT:-14400}

job=$(az backup protection backup-now --resource-group "$1" --vault-name "$2" --container-name "$3" --item-name "$3" \
  --backup-management-type AzureIaasVM --query id --output tsv)
case $job in
  */backupJobs/*) ;;
  *)
    echo "The backup did not start: az named no job, but ${job:-nothing}." >&2
    exit 1
    ;;
esac

watch=$(kubectl create --output name --filename - <<END
apiVersion: azurebackup.dev/v1alpha1
kind: BackupJobWatch
metadata:
  generateName: backup-
spec:
  jobResourceId: "$job"
  activeDeadlineSeconds: $timeout
END
)
echo "Waiting for $watch"

if kubectl wait "$watch" --for=condition=finished --timeout="${timeout}s" &&
  kubectl wait "$watch" --for=condition=complete --timeout=0; then
  exit 0
fi
echo "The backup has not succeeded. $(kubectl get "$watch" --output jsonpath='{.status.reason}: {.status.message}')" >&2
exit 1
