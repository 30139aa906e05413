# shellcheck shell=bash
# shellcheck disable=SC2154 # data, here: see common.sh
# Installs what is missing from Debian, and nothing but that: no service starts now or at the next boot, no package that is
# there is upgraded, no PostgreSQL cluster is made, no file of the system's owner stays changed.

postgres_bin=/usr/lib/postgresql/15/bin
rabbitmq_bin=/usr/lib/rabbitmq/bin

missing_packages() {
  [ -x $rabbitmq_bin/rabbitmq-server ] || echo rabbitmq-server
  [ -x $postgres_bin/postgres ] || echo postgresql-15
  [ -x $postgres_bin/psql ] || echo postgresql-client-15
  local program
  for program in ceph-mon ceph-osd radosgw; do
    command -v $program >/dev/null || echo $program
  done
  command -v ceph >/dev/null || echo ceph-common
}

# What the test suite runs the programs in examples/ with.
missing_for_examples() {
  /usr/bin/python3 -c 'import pika' 2>/dev/null || echo python3-pika
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
  command -v curl >/dev/null || echo curl
  command -v jq >/dev/null || echo jq
}

# The servers do not need these: where they cannot be installed, the tests of the examples say so.
install_for_examples() {
  (install_missing missing_for_examples) || say "the tests of examples/ will fail"
}

# install_missing MISSING: what that function names.
install_missing() {
  PATH=$PATH:/usr/sbin:/sbin # where Debian keeps some of these; not in every user's path
  local packages as_root=()
  [ -n "$("$1")" ] || return 0
  command -v apt-get >/dev/null || die "missing: $("$1" | xargs). This machine has no apt-get: install them, or use docker compose up"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "missing: $("$1" | xargs). Install them as root, or install sudo"
    as_root=(sudo)
  fi
  # Two checkouts may come here at once. apt-get itself is a file that everybody may lock and nobody else does.
  exec 8</usr/bin/apt-get
  flock -n 8 || { say "waiting for another install"; flock 8; }
  mapfile -t packages < <("$1")
  if [ ${#packages[@]} -gt 0 ]; then
    say "installing ${packages[*]} (once; a minute or two)"
    local log=$data/log/install.log
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive bash "$here/services.d/install-quietly.sh" "${packages[@]}" >"$log" 2>&1 9>&- ||
      { tail -n 20 "$log" >&2; die "the install failed; all of it is in $log"; }
    [ -z "$("$1")" ] || die "still missing after the install: $("$1" | xargs); see $log"
  fi
  exec 8>&-
}
