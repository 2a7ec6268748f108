"""Both programs of the plugin, selected by the name of the executable. `make plugin` builds it as a single file."""

import sys
from pathlib import PurePath

if __name__ == "__main__":
    if PurePath(sys.argv[0]).name.startswith("kubectl_complete"):
        from backupjobwatch.kubectl.complete import main
    else:
        from backupjobwatch.kubectl.main import main
    main()
