#!/bin/sh
# Mount the file systems of a container, then run a command: enter.sh ROOT FILES COMMAND...
# Call it in a new mount namespace. The mounts disappear with the namespace.
set -eu
root=$1 files=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for device in null zero full random urandom; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o mode=1777,size=16m tmpfs "$root/tmp"
mount --bind "$files" "$root/mnt"
mount -o remount,bind,ro "$root/mnt"
exec "$@"
