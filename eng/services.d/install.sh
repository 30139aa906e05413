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

install_missing() {
  PATH=$PATH:/usr/sbin:/sbin # where Debian keeps some of these; not in every user's path
  local packages as_root=()
  [ -n "$(missing_packages)" ] || return 0
  command -v apt-get >/dev/null || die "missing: $(missing_packages | xargs). This machine has no apt-get: install them, or use docker compose up"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "missing: $(missing_packages | xargs). Install them as root, or install sudo"
    as_root=(sudo)
  fi
  # Two checkouts may come here at once. apt-get itself is a file that everybody may lock and nobody else does.
  exec 8</usr/bin/apt-get
  flock -n 8 || { say "waiting for another install"; flock 8; }
  mapfile -t packages < <(missing_packages)
  if [ ${#packages[@]} -gt 0 ]; then
    say "installing ${packages[*]} (once; a minute or two)"
    local log=$data/log/install.log
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive bash "$here/services.d/install-quietly.sh" "${packages[@]}" >"$log" 2>&1 9>&- ||
      { tail -n 20 "$log" >&2; die "the install failed; all of it is in $log"; }
    [ -z "$(missing_packages)" ] || die "still missing after the install: $(missing_packages | xargs); see $log"
  fi
  exec 8>&-
}
