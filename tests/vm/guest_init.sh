#!/bin/sh
# PID 1 of a test guest: loads virtio-fs, then runs each line that arrives on the serial console and
# answers with its output and "@@END status".
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done
stty -F /dev/ttyS0 -echo -onlcr
exec </dev/ttyS0 >/dev/ttyS0 2>&1
echo "@@READY"
while IFS= read -r line; do
  eval "$line" </dev/null
  echo "@@END $?"
done
poweroff -f
