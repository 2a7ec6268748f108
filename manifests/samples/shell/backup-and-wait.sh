#!/bin/sh
# Back up a VM, and exit with 0 only if the backup has succeeded:
#
#   backup-and-wait.sh RESOURCE-GROUP VAULT VM && helm upgrade shop ./shop
#
# Any other exit code means that az or kubectl failed, or that the backup did not succeed within TIMEOUT seconds
# (default: 14400). A backup with warnings counts as failed. The script requires az, signed in, and kubectl. In its
# current namespace, it needs permission to create, get, list and watch backupjobwatches. It keeps the watch.
#
# Each call creates a new watch for the job that it started, so it never uses the verdict of an earlier backup. A wait
# covers only one condition: the first wait is for the end of the job, and the second is for its success.
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
