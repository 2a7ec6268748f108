#!/bin/sh
# Create the action group that calls the Receiver of receiver.yaml, and the alert rules that call the action group.
# Azure Backup counts a health event for each backup and restore that ends, with success or failure. These metrics are
# in preview, for VMs, SQL and SAP HANA databases, Azure Files and blobs:
# https://learn.microsoft.com/azure/backup/metrics-overview.
#
#   action-group.sh RESOURCE-GROUP VAULT-ID https://flux-webhook.example.com
#
# Get VAULT-ID with `az backup vault show --resource-group … --name … --query id --output tsv`. The URL points to your
# Ingress. The script requires az, signed in, and kubectl with the namespace of the Receiver. You can run it repeatedly.
set -eu

if [ $# -ne 3 ]; then
  echo "usage: $0 RESOURCE-GROUP VAULT-ID URL" >&2
  exit 2
fi

path=$(kubectl get receiver azure-monitor --output jsonpath='{.status.webhookPath}')
if [ -z "$path" ]; then
  echo "The Receiver azure-monitor has no path yet: kubectl describe receiver azure-monitor says why." >&2
  exit 1
fi

group=$(az monitor action-group create --resource-group "$1" --name flux-backup-watches \
  --action webhook flux "$3$path" usecommonalertschema --query id --output tsv)
for event in BackupHealthEvent RestoreHealthEvent; do
  # Without auto-mitigation, the alert fires for every event, not only for the first one until it is resolved.
  az monitor metrics alert create --resource-group "$1" --name "flux-backup-watches-$event" --scopes "$2" \
    --condition "count $event > 0" --window-size 5m --evaluation-frequency 1m --auto-mitigate false \
    --action "$group" --output none
done
