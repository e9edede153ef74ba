# The Linux kernel's initiator on a LUN whose driver is killed again and again: files are written and
# flushed, the file system is unmounted, checked and read back.
#
#   TARGET, PORTAL (address), PORT, GROUP (portal group tag)
#   SECONDS_LONG  how long to write
say() { echo "STEP $*"; }
iscsistart -i iqn.2026-11.test:guest -t "$TARGET" -g "$GROUP" -a "$PORTAL" -p "$PORT"
for i in $(busybox seq 50); do
    [ -b /dev/sda ] && break
    busybox usleep 100000
done
mkfs.ext4 -q -F /dev/sda
busybox mkdir -p /mnt/disk
busybox mount -t ext4 /dev/sda /mnt/disk
cd /mnt/disk
say writing
end=$(($(busybox date +%s) + SECONDS_LONG))
files=0
while [ "$(busybox date +%s)" -lt "$end" ]; do
    # Sixteen names in turn, so that blocks are freed and used again.
    name=$((files % 16))
    busybox dd if=/dev/urandom of=$name bs=$((4096 + files * 1237 % 65536)) count=4 conv=fsync 2>/dev/null
    busybox sha256sum $name > /run/sum.$name
    files=$((files + 1))
done
say "written, $files files"
cd /
busybox umount /mnt/disk
e2fsck -f -n /dev/sda
say checked
echo 3 > /proc/sys/vm/drop_caches
busybox mount -t ext4 /dev/sda /mnt/disk
cd /mnt/disk
busybox cat /run/sum.* | busybox sha256sum -c > /run/checked
[ "$(busybox grep -c ': OK$' /run/checked)" = "$(busybox ls /run/sum.* | busybox wc -l)" ]
say read back
cd /
busybox umount /mnt/disk
# Nothing of it was an error, no connection had to be made anew, and the unit attention of the log-in
# is the only one.
if busybox dmesg | busybox grep -iE 'I/O error|ext4-fs error|conn error|digest error|sense key|abort'; then
    exit 1
fi
[ "$(busybox dmesg | busybox grep -c 'reset occurred')" = 1 ]
say nothing in the log
