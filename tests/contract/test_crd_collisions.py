"""The CRD's names do not shadow those of common operators on kubectl's command line.

kubectl prefers a category to a resource name. If two groups share a resource name, the group that sorts first wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pytest

from tests.property.oracles import crd


@dataclass(frozen=True, slots=True)
class Operator:
    """The words that an operator's released CRDs claim on kubectl's command line."""

    group: str
    plurals: str
    short_names: str = ""
    categories: str = ""
    irregular: str = ""
    """Singulars that are not the plural without its s."""

    @property
    def words(self) -> set[str]:
        """All claimed words."""
        plurals = self.plurals.split()
        singulars = {name.removesuffix("s") for name in plurals}
        return {*plurals, *singulars, *f"{self.short_names} {self.categories} {self.irregular}".split()}


OPERATORS: Final[dict[str, Operator]] = {
    # Backup
    "Velero": Operator(
        "velero.io",
        "backups restores schedules backupstoragelocations volumesnapshotlocations deletebackuprequests "
        "downloadrequests podvolumebackups podvolumerestores backuprepositories serverstatusrequests datauploads "
        "datadownloads",
        "bsl vsl",
        irregular="backuprepository",
    ),
    "CloudNativePG": Operator(
        "postgresql.cnpg.io",
        "backups scheduledbackups clusters poolers imagecatalogs clusterimagecatalogs databases publications "
        "subscriptions failoverquorums",
    ),
    "K8up": Operator("k8up.io", "backups restores schedules archives checks prunes snapshots prebackuppods podconfigs"),
    "Longhorn": Operator(
        "longhorn.io",
        "backups backuptargets backupvolumes backupbackingimages backingimages engines engineimages instancemanagers "
        "nodes orphans recurringjobs replicas settings sharemanagers snapshots supportbundles systembackups "
        "systemrestores volumes volumeattachments",
        "lhb lhbt lhbv lhbbi lhbi lhe lhei lhim lhn lho lhrj lhr lhs lhsm lhsnap lhbundle lhsb lhsr lhv lhva",
        "longhorn",
    ),
    "Stash": Operator(
        "stash.appscode.com",
        "backupconfigurations backupsessions backupblueprints backupbatches restoresessions restorebatches functions "
        "tasks repositories",
        "bc",
        "stash appscode",
        "backupbatch restorebatch repository",
    ),
    "KubeStash": Operator(
        "core.kubestash.com",
        "backupconfigurations backupsessions backupblueprints backupverifiers restoresessions hooktemplates addons "
        "functions backupstorages repositories retentionpolicies snapshots",
        "bs",
        "kubestash appscode",
        "repository retentionpolicy",
    ),
    "KubeDB": Operator(
        "kubedb.com",
        "elasticsearches kafkas mariadbs memcacheds mongodbs mysqls perconaxtradbs postgreses proxysqls redises",
        "es kf md mc mg my px pg prx rd",
        "datastore kubedb appscode all",
        "elasticsearch postgres redis",
    ),
    "Kanister": Operator("cr.kanister.io", "actionsets blueprints profiles"),
    "Kasten": Operator("actions.kio.kasten.io", "backupactions restoreactions exportactions importactions runactions"),
    "VolSync": Operator("volsync.backube", "replicationsources replicationdestinations"),
    "Rancher Backup": Operator("resources.cattle.io", "backups restores resourcesets"),
    "MariaDB operator": Operator(
        "k8s.mariadb.com",
        "backups restores physicalbackups mariadbs maxscales databases grants users connections sqljobs",
        "bmdb rmdb pbmdb mdb mxs dmdb gmdb umdb cmdb smdb",
    ),
    "Percona": Operator(
        "pxc.percona.com",
        "perconaxtradbclusterbackups perconaxtradbclusterrestores perconaxtradbclusters perconaservermongodbbackups",
        "pxc-backup pxc-backups pxc-restore pxc-restores pxc pxcs psmdb-backup pg-backup",
    ),
    "TiDB operator": Operator(
        "pingcap.com", "backups restores backupschedules tidbclusters tidbmonitors", "bk rt bks tc tm"
    ),
    "OADP": Operator("oadp.openshift.io", "dataprotectionapplications cloudstorages nonadminbackups", "dpa nab"),
    "CSI snapshots": Operator(
        "snapshot.storage.k8s.io",
        "volumesnapshots volumesnapshotclasses volumesnapshotcontents",
        "vs vsclass vsclasses vsc vscs",
        irregular="volumesnapshotclass",
    ),
    # GitOps and workflows
    "Flux": Operator(
        "toolkit.fluxcd.io",
        "kustomizations helmreleases gitrepositories ocirepositories helmrepositories helmcharts buckets alerts "
        "providers receivers imagerepositories imagepolicies imageupdateautomations resourcesets fluxinstances",
        "ks hr gitrepo ocirepo helmrepo hc imgrepo imagerepo imgpol imagepol iua imgupd imgauto rset",
        "",
        "gitrepository ocirepository helmrepository imagerepository imagepolicy",
    ),
    "Argo CD": Operator(
        "argoproj.io", "applications applicationsets appprojects", "app apps appset appsets appproj appprojs"
    ),
    "Argo Workflows, Events, Rollouts": Operator(
        "argoproj.io",
        "workflows workflowtemplates cronworkflows clusterworkflowtemplates eventsources sensors eventbus rollouts "
        "analysisruns analysistemplates experiments",
        "wf wftmpl cwf cronwf clusterwftmpl cwft es sn eb ro ar at exp",
    ),
    "Tekton": Operator(
        "tekton.dev",
        "tasks taskruns pipelines pipelineruns customruns eventlisteners triggers triggertemplates triggerbindings",
        "tr trs pr prs el tri tt tb",
        "tekton tekton-pipelines tekton-triggers",
    ),
    "OpenKruise": Operator(
        "apps.kruise.io", "broadcastjobs advancedcronjobs clonesets sidecarsets", "bcj acj clone bj"
    ),
    # Certificates, secrets, monitoring
    "cert-manager": Operator(
        "cert-manager.io",
        "certificates certificaterequests issuers clusterissuers orders challenges",
        "cert certs cr crs ciss iss",
        "cert-manager cert-manager-acme",
    ),
    "External Secrets": Operator(
        "external-secrets.io",
        "externalsecrets clusterexternalsecrets secretstores clustersecretstores pushsecrets",
        "es ces ss css ps",
        "external-secrets externalsecrets external-secrets-generators",
    ),
    "Prometheus operator": Operator(
        "monitoring.coreos.com",
        "prometheuses alertmanagers podmonitors servicemonitors prometheusrules probes thanosrulers scrapeconfigs",
        "prom am pmon smon promrule prb ruler scfg amcfg promagent",
        "prometheus-operator",
        "prometheus",
    ),
    # Azure
    "Azure Service Operator": Operator(
        "azure.com",
        "backupvaults backupvaultsbackuppolicies backupvaultsbackupinstances resourcegroups storageaccounts "
        "virtualmachines disks managedclusters userassignedidentities",
        "",
        "azure dataprotection resources storage compute containerservice managedidentity entra aad",
        "backupvaultsbackuppolicy userassignedidentity",
    ),
    "Crossplane provider-azure": Operator(
        "azure.upbound.io",
        "vaults backuppolicyvms backuppolicyfileshares backuppolicyvmworkloads backupprotectedvms "
        "backupprotectedfileshares backupcontainerstorageaccounts backupvaults backupinstancedisks "
        "backuppolicydisks providerconfigs providerconfigusages",
        "",
        "crossplane managed azure provider composite claim",
    ),
    "akv2k8s": Operator("spv.no", "azurekeyvaultsecrets", "akvs"),
    "AAD Pod Identity": Operator(
        "aadpodidentity.k8s.io",
        "azureidentities azureidentitybindings azureassignedidentities",
        "",
        "",
        "azureidentity",
    ),
    "Kubernetes": Operator(
        "",
        "pods services deployments replicasets statefulsets daemonsets jobs cronjobs configmaps secrets namespaces "
        "nodes events endpoints ingresses networkpolicies persistentvolumes persistentvolumeclaims serviceaccounts "
        "roles rolebindings clusterroles clusterrolebindings storageclasses customresourcedefinitions leases "
        "horizontalpodautoscalers poddisruptionbudgets priorityclasses",
        "po svc deploy rs sts ds cj cm ns no ev ep ing netpol pv pvc sa sc crd crds hpa pdb pc quota limits csr",
        "all api-extensions",
    ),
}


def ours() -> set[str]:
    """Return every word by which kubectl addresses watches."""
    names = crd()["spec"]["names"]
    return {
        names["plural"],
        names["singular"],
        names["kind"].lower(),
        *names.get("shortNames", ()),
        *names.get("categories", ()),
    }


def test_short_name_is_checked() -> None:
    """The CRD has the words that the test compares with the table."""
    assert ours() == {"backupjobwatches", "backupjobwatch", "bjw"}


@pytest.mark.parametrize("name", OPERATORS)
def test_names_of_other_operators(name: str) -> None:
    """No name, short name or category of the CRD belongs to a common operator."""
    assert not ours() & OPERATORS[name].words


@pytest.mark.parametrize("category", ["azure", "backup"])
def test_former_categories_collide(category: str) -> None:
    """The table detects the collisions of the CRD's former categories."""
    assert [name for name, operator in OPERATORS.items() if category in operator.words]
