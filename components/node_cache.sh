# Puts a file system on the node's disk for build state, and mounts it. boot_script() in node_cache.py sets FOLDER,
# DEVICE, LABEL and OWNER. Whatever fails here, the node joins the cluster, and its jobs go on without kept state.

INSTANCE_STORES=/dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_
EACH_BOOT=/var/lib/cloud/scripts/per-boot

# Only what blkid finds nothing on: no file system, no partitions, no part of an array.
is_blank() {
  [[ -e $1 ]] || return
  blkid -p "$1" >/dev/null 2>&1
  (($? == 2))
}

find_disk() {
  local each blank=()
  blkid -L "$LABEL" && return
  # An instance store is faster than EBS. The EBS volume then stays unused.
  for each in "$INSTANCE_STORES"* "$DEVICE" "${DEVICE/xvd/sd}"; do
    if [[ $each != *-part* ]] && is_blank "$each"; then
      echo "$each"
      return
    fi
  done
  # On Nitro, EBS volumes are NVMe devices in any order, and only udev gives them the names of the launch template.
  while read -r each; do
    is_blank "$each" && blank+=("$each")
  done < <(lsblk --nodeps --noheadings --paths --output NAME,TYPE |
    awk '$2 == "disk" && $1 ~ /\/(nvme|xvd|sd)[^\/]*$/ { print $1 }')
  ((${#blank[@]} == 1)) && echo "${blank[0]}"
}

mount_disk() {
  local disk
  mountpoint -q "$FOLDER" && return
  udevadm settle --timeout=30
  disk=$(find_disk) || return
  if is_blank "$disk"; then
    # EC2 delivers trimmed disks, so -K skips that.
    timeout 120 mkfs.xfs -q -K -L "$LABEL" "$disk" || return
  fi
  # Until it is mounted, the folder is root's: a job must not fill the root volume.
  mkdir -p "$FOLDER" || return
  timeout 60 mount -o noatime "$disk" "$FOLDER" || return
  chmod 700 "$FOLDER" && chown "$OWNER" "$FOLDER"
}

# cloud-init runs user data at the first boot alone. A stopped node of a warm pool starts again without the mount, and
# with an empty instance store.
if [[ ! $0 -ef $EACH_BOOT/$LABEL ]]; then
  mkdir -p "$EACH_BOOT" && install -m 700 "$0" "$EACH_BOOT/$LABEL"
fi
mount_disk || echo "This node keeps no build state: it has no disk for it that is blank or labelled $LABEL." >&2
