"""BackupJobWatch mirrors Azure Backup jobs into Kubernetes custom resources that other tools can gate on."""

from importlib.metadata import version

__version__ = version("backupjobwatch")
