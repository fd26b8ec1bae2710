# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Runs as root in the guest, from the share: installs nestd from its wheel as a package would,
# starts it, and runs the tests beside this file. results.jsonl, pytest.log and journal.log on the
# share are for the host; the machine powers off when this ends.
set -u
share=/run/share
cat /proc/uptime > $share/uptime

python3 -m installer $share/nestd-*.whl
for file in "$share"/systemd/*; do
    case ${file##*/} in
        *'*') continue ;;
        org.*.service) directory=/usr/share/dbus-1/system-services ;;
        *.service) directory=/usr/lib/systemd/system ;;
        org.*.conf) directory=/usr/share/dbus-1/system.d ;;
        *.policy) directory=/usr/share/polkit-1/actions ;;
        *) continue ;;
    esac
    cp "$file" "$directory"
done
for program in nestd nestctl; do
    [ -e /usr/local/bin/$program ] && ln -s /usr/local/bin/$program /usr/bin/$program
done
# Until systemd/ has a unit and a bus policy.
[ -e /usr/lib/systemd/system/nestd.service ] || cat > /etc/systemd/system/nestd.service <<'END'
[Service]
Type=notify
ExecStart=/usr/bin/nestd --log-level debug
END
[ -n "$(ls /usr/share/dbus-1/system.d/*nestd* 2> /dev/null)" ] ||
    cat > /etc/dbus-1/system.d/nestd.conf <<'END'
<busconfig>
  <policy user="root"><allow own="org.nestd1"/></policy>
  <policy context="default"><allow send_destination="org.nestd1"/></policy>
</busconfig>
END
systemctl daemon-reload
busctl --quiet call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
systemctl start nestd.service || journalctl -u nestd.service

cp -r $share/tests /root/tests
cd /root/tests || exit
python3 -m pytest -v -p no:cacheprovider --timeout 120 . > $share/pytest.log 2>&1
echo $? > $share/status
journalctl -b -o short-precise > $share/journal.log
