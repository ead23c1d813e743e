# Carried out by a virtual machine with network block devices, for mkdev.test.ts: attaches devices with
# our program and with the original, and says what it sees, one `@ NAME: VALUE` a line.

say() { echo "@ $1: $2"; }
# The output of a command in one line.
see() { name=$1; shift; say "$name" "$("$@" 2>&1 | tr '\n' ' ' | sed 's/ $//')"; }
# until LIMIT COMMAND...: tries ten times a second.
until_true() { tries=$1; shift; until "$@"; do tries=$((tries - 1)); [ $tries -gt 0 ] || return 1; sleep 0.1; done; }
# begin NAME PROGRAM ARGUMENT...: starts mkdev; its id is in $pid.
begin() { run=$1; shift; "$@" >/tmp/$run.out 2>/tmp/$run.err & pid=$!; }
attached() {
  until_true 400 grep -qs Attached /tmp/$1.out || say "$1 TIMEOUT" yes
  see "$1 output" cat /tmp/$1.out /tmp/$1.err
}
# finish NAME PID SIGNAL: ends it.
finish() { kill -$3 $2; wait $2; say "$1 status" $?; see "$1 last words" cat /tmp/$1.err; }
digest() { head -c $(cat /data/size) $1 | sha256sum | cut -c1-64; }
gone() { [ ! -e /sys/block/$1/pid ]; }
linked() { [ -L $1 ]; }
unlinked() { [ ! -L $1 ]; }
cd /data

begin kernel-without casync mkdev disk.caibx
wait $pid; say "kernel-without status" $?; see "kernel-without output" cat /tmp/kernel-without.out /tmp/kernel-without.err
insmod /nbd.ko

begin without-udev casync mkdev disk.caibx /dev/early; attached without-udev
see "without-udev link" readlink /dev/early
see "without-udev digest" digest /dev/early
see "without-udev partitions" ls /dev/nbd0p1
finish without-udev $pid TERM
see "without-udev left" ls /dev/early /run/casync

node /kernel-calls.cjs listen /run/notified /tmp/notified &
/lib/systemd/systemd-udevd --daemon 2>/dev/null
udevadm settle
until_true 100 [ -S /run/notified ]

begin first env NOTIFY_SOCKET=/run/notified casync mkdev disk.caibx /dev/friend; first=$pid
begin second casync mkdev disk.img /tmp/link; second=$pid
attached first; attached second
until_true 50 [ -s /tmp/notified ]; see "notified" cat /tmp/notified; : >/tmp/notified
one=$(basename $(readlink /dev/friend)); two=$(basename $(readlink /tmp/link))
see "devices" sh -c "printf '%s\n' $one $two | sort"
see "size" blockdev --getsize64 /dev/$one; see "read-only" blockdev --getro /dev/$one
see "sector" blockdev --getss /dev/$one
see "digest" digest /dev/friend; see "second digest" digest /tmp/link
see "bytes behind the end" sh -c "tail -c +$(($(cat size) + 1)) /dev/$one | tr -d '\0' | wc -c"
see "name file" cat /run/casync/$one
mount -o ro /dev/${one}p1 /mnt && see "mounted" cat /mnt/greeting && umount /mnt
see "partition link" readlink /dev/friend-part1
begin busy casync mkdev disk.caibx /dev/$one; wait $pid; say "busy status" $?; see "busy output" cat /tmp/busy.err
begin missing casync mkdev disk.caibx /dev/nbd99; wait $pid; say "missing status" $?; see "missing output" cat /tmp/missing.err
finish second $second TERM
see "link left" ls /tmp/link
until_true 50 gone $two; see "detached" blockdev --getsize64 /dev/$two
kill -9 $first; wait $first
until_true 100 gone $one; until_true 100 unlinked /dev/friend; see "killed" ls /dev/friend
begin again casync mkdev disk.caibx /dev/$one; again=$pid; attached again
see "again digest" digest /dev/$one
finish again $again TERM
see "names left" ls /run/casync

begin stale casync mkdev disk.caibx /tmp/stale; attached stale
kill -9 $pid; wait $pid; until_true 50 gone nbd0
begin renewed casync mkdev disk.caibx /tmp/stale; attached renewed
see "renewed digest" digest /tmp/stale
node /kernel-calls.cjs disconnect /dev/nbd0
wait $pid; say "renewed status" $?; see "renewed left" ls /tmp/stale

begin writable casync mkdev --cow=/tmp/changes disk.caibx; attached writable
see "writable read-only" blockdev --getro /dev/nbd0
mount /dev/nbd0p1 /mnt && echo changed >/mnt/news && umount /mnt
finish writable $pid TERM
begin rewritable casync mkdev --cow=/tmp/changes disk.caibx; attached rewritable
mount /dev/nbd0p1 /mnt && see "rewritable content" cat /mnt/news /mnt/greeting && umount /mnt
finish rewritable $pid HUP
see "base" digest /data/disk.img

# The original keeps its output back until it ends, where that is no terminal.
begin reference casync-reference mkdev disk.caibx /dev/original; reference=$pid
until_true 400 linked /dev/original
one=$(basename $(readlink /dev/original))
see "reference size" blockdev --getsize64 /dev/$one; see "reference read-only" blockdev --getro /dev/$one
see "reference sector" blockdev --getss /dev/$one; see "reference digest" digest /dev/original
see "reference name file" cat /run/casync/$one
begin reference-busy casync-reference mkdev disk.caibx /dev/$one; wait $pid; see "reference-busy output" cat /tmp/reference-busy.err
begin beside casync mkdev disk.caibx; attached beside; finish beside $pid INT
finish reference $reference TERM
see "reference output" cat /tmp/reference.out
see "uptime" cat /proc/uptime
