# The Linux kernel's initiator on a LUN: a file system is made, filled, checked and read back.
#
#   TARGET, PORTAL (address), PORT, GROUP (portal group tag)
#   ACCESS   chap: the wrong secret is tried first, then log in as USER with SECRET
#   DIGESTS  CRC32C or None
#   PHASE    make: the file system is made; read: it is there already
say() { echo "STEP $*"; }
login() {
    iscsistart -i iqn.2026-11.test:guest -t "$TARGET" -g "$GROUP" -a "$PORTAL" -p "$PORT" \
        -P "node.conn[0].iscsi.HeaderDigest=$DIGESTS" -P "node.conn[0].iscsi.DataDigest=$DIGESTS" "$@"
}
disk() {
    for i in $(busybox seq 50); do
        [ -b /dev/sda ] && return
        busybox usleep 100000
    done
    return 1
}

if [ "$ACCESS" = chap ]; then
    if login -u "$USER" -w "wrong$SECRET"; then exit 1; fi
    [ ! -b /dev/sda ]
    say a wrong secret is refused
    login -u "$USER" -w "$SECRET"
else
    login
fi
disk
say logged in, digests $DIGESTS
for session in /sys/class/iscsi_connection/connection*; do
    echo "NEGOTIATED $(cat "$session/header_digest") $(cat "$session/data_digest")"
done

if [ "$PHASE" = make ]; then
    mkfs.ext4 -q -F /dev/sda
    say file system made
fi
busybox mkdir -p /mnt/disk
busybox mount -t ext4 /dev/sda /mnt/disk
cd /mnt/disk
if [ "$PHASE" = make ]; then
    busybox dd if=/dev/urandom of=large bs=1M count=24 2>/dev/null
    busybox mkdir small
    for i in $(busybox seq 200); do
        busybox dd if=/dev/urandom of=small/$i bs=$((i * 37)) count=1 2>/dev/null
    done
    busybox find . -type f ! -name sums -exec busybox sha256sum {} + > /run/sums
    busybox cp /run/sums sums
    say files written
fi
cd /
busybox umount /mnt/disk
e2fsck -f -n /dev/sda
say checked
echo 3 > /proc/sys/vm/drop_caches
busybox mount -t ext4 /dev/sda /mnt/disk
cd /mnt/disk
busybox sha256sum -c sums > /run/checked
[ "$(busybox grep -c ': OK$' /run/checked)" = 201 ]
say read back
if [ "$PHASE" = make ]; then
    # Written again and partly removed, with the rest of the room given back.
    busybox dd if=/dev/urandom of=removed bs=1M count=8 2>/dev/null
    busybox sync
    busybox rm removed
    busybox fstrim -v . || true
    busybox sync
    busybox sha256sum -c sums > /dev/null
    say trimmed
fi
cd /
busybox umount /mnt/disk
e2fsck -f -n /dev/sda
if busybox dmesg | busybox grep -iE 'I/O error|ext4-fs error|conn error|digest error' | busybox grep -v 'conn error (1020)'; then
    exit 1
fi
