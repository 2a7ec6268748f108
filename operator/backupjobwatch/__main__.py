"""``python -m backupjobwatch``."""

from backupjobwatch.cli import main

if __name__ == "__main__":
    main(prog_name="backupjobwatch")
