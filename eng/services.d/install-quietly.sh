#!/usr/bin/env bash
# install-quietly.sh PACKAGE...: apt-get install as root with nothing started, enabled or configured. Used by install.sh.
set -euo pipefail

policy=/usr/sbin/policy-rc.d # what Debian's maintainer scripts ask before they start or stop a service
kept=$policy.before-pipeline
cluster=/etc/postgresql/15/pipeline-placeholder

restore() {
  rm -rf "$cluster"
  rmdir /etc/postgresql/15 /etc/postgresql 2>/dev/null || true # only if empty
  if [ -e "$kept" ]; then mv -f "$kept" "$policy"; elif grep -qs pipeline-placeholder "$policy"; then rm -f "$policy"; fi
}
restore # after an earlier install that was killed half-way
trap restore EXIT
trap 'exit 1' INT TERM HUP

# A policy of the machine's owner is kept aside meanwhile.
[ ! -e "$policy" ] || mv "$policy" "$kept"
printf '#!/bin/sh\n# pipeline-placeholder: removed when eng/services has installed\nexit 101\n' >"$policy"
chmod 755 "$policy"

# postgresql-15 makes and starts a cluster "main" unless it finds one's configuration here.
mkdir -p "$cluster"
touch "$cluster/postgresql.conf"

installed() { dpkg-query -W -f '${binary:Package} ${db:Status-Abbrev}\n' | awk '$2 ~ /^.i/ { print $1 }' | sort; }
before=$(installed)

get=(apt-get -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
install=("${get[@]}" install --no-install-recommends --no-upgrade "$@")
# Package lists may be absent (a fresh image) or name versions that are gone: fetch them only then.
if ! "${install[@]}"; then
  "${get[@]}" update
  "${install[@]}"
fi

# What came with the install is for us alone: at the next boot none of it starts by itself, under systemd or without.
mapfile -t new < <(comm -13 <(echo "$before") <(installed))
[ ${#new[@]} -gt 0 ] || exit 0
files=$(dpkg -L "${new[@]}")
sed -nE 's#^/etc/init\.d/##p' <<<"$files" | while read -r script; do update-rc.d "$script" disable || true; done
if command -v systemctl >/dev/null; then
  sed -nE 's#^(/usr)?/lib/systemd/system/([^/@]+\.(service|socket|timer))$#\2#p' <<<"$files" | sort -u | while read -r unit; do
    [ "$(systemctl is-enabled "$unit" 2>/dev/null)" != enabled ] || systemctl disable "$unit" || true
  done
fi
