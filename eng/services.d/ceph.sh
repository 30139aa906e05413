# shellcheck shell=bash
# shellcheck disable=SC2154 # secrets and ports are set in common.sh
# S3: Ceph's RADOS Gateway over one monitor and one OSD. No authentication between the three, which listen on loopback only;
# S3 itself asks for the key. All paths are relative to each process's folder: a Unix socket's path ends at 107 characters.

ceph_ready() { running ceph-mon && running ceph-osd && running radosgw && http "${port[s3]}" /; }

ceph_up() {
  local server
  if [ ! -e "$data/ceph.ready" ]; then # never finished a first start: begin anew
    for server in radosgw ceph-osd ceph-mon; do stop_server $server KILL; done
    rm -rf "$data"/{ceph-mon,ceph-osd,radosgw}
  fi
  mkdir -p "$data"/{ceph-mon,ceph-osd,radosgw}
  ceph_configure

  # A gateway that lost its OSD or monitor hangs: start it again with them.
  { running ceph-osd && running ceph-mon; } || stop_server radosgw KILL
  running ceph-mon || {
    [ -d "$data/ceph-mon/store/store.db" ] || ceph_create_monitor
    launch ceph-mon ceph-mon -c ../ceph.conf -f -i a
  }
  [ -e "$data/ceph.ready" ] || ceph_create_osd
  running ceph-osd || {
    rm -f "$data"/ceph-osd/*.asok
    launch ceph-osd ceph-osd -c ../ceph.conf -f -i 0
  }
  # By the process itself: the monitor may still believe in the one before a crash, and radosgw would wait 15 s for that.
  wait_for ceph-osd 60 ceph_osd_active
  running radosgw || {
    launch radosgw radosgw -c ../ceph.conf -f -n client.rgw
  }
  wait_for radosgw 90 http "${port[s3]}" /
  [ -e "$data/ceph.ready" ] || ceph_create_user
}

# Backwards: without its OSD radosgw hangs for seconds.
ceph_down() { stop_server radosgw; stop_server ceph-osd; stop_server ceph-mon; }

in_ceph() { (cd "$data/radosgw" && timeout 60 "$@" 9>&- >>"$data/log/ceph-tools.out" 2>&1); }
ceph_osd_active() {
  (cd "$data/ceph-osd" && timeout 10 ceph --admin-daemon osd.asok status 9>&- 2>/dev/null | grep -q '"state": "active"')
}

ceph_create_monitor() {
  rm -rf "$data/ceph-mon/store"
  mkdir "$data/ceph-mon/store"
  {
    in_ceph monmaptool --create --clobber --fsid "$(ceph_id)" --addv a "[v2:127.0.0.1:${port[mon]}]" ../ceph-mon/monmap &&
      in_ceph ceph-mon -c ../ceph.conf --mkfs -i a --monmap ../ceph-mon/monmap
  } || ceph_failed "the monitor's store"
}
ceph_create_osd() {
  local id
  id=$(</proc/sys/kernel/random/uuid)
  rm -rf "$data/ceph-osd/store"
  mkdir "$data/ceph-osd/store"
  {
    in_ceph ceph -c ../ceph.conf osd new "$id" 0 &&
      in_ceph ceph-osd -c ../ceph.conf -i 0 --mkfs --osd-uuid "$id" &&
      in_ceph ceph -c ../ceph.conf osd crush add osd.0 1 root=default host=localhost
  } || ceph_failed "the OSD's store"
}
ceph_create_user() {
  in_ceph radosgw-admin -c ../ceph.conf -n client.rgw user create --uid pipeline --display-name pipeline \
    --access-key "$secret_s3_key" --secret-key "$secret_s3_secret" || ceph_failed "the S3 user"
  touch "$data/ceph.ready"
}
ceph_failed() { say "Ceph could not make $1; the end of $data/log/ceph-tools.out:"; tail -n 15 "$data/log/ceph-tools.out" >&2; exit 1; }

ceph_id() { # the cluster's id, made once from the set's secret
  local hex=$secret_cookie
  echo "${hex:0:8}-${hex:8:4}-4${hex:13:3}-8${hex:17:3}-${hex:20:12}"
}

ceph_configure() {
  local p=${port[mon]} port_osd=${port[osd]} quiet
  {
    cat <<CONF
[global]
fsid = $(ceph_id)
mon host = [v2:127.0.0.1:$p]
public network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms bind port min = $port_osd
ms bind port max = $((port_osd + 7))
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
ms mon client mode = crc
ms mon service mode = crc
ms mon cluster mode = crc
run dir = .
admin socket =
pid file =
crash dir = ../log
log to file = false
log to stderr = true
err to stderr = true
log max recent = 500
# one disk, one copy: a development store
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon max pg per osd = 2000
mon allow pool size one = true
mon warn on pool no redundancy = false
# a disk that is nearly full is the machine's matter
mon data avail warn = 1
mon data avail crit = 0
mon cluster log to file = false
CONF
    for quiet in ms mon paxos osd bluestore bluefs bdev rocksdb rgw objecter monc; do echo "debug $quiet = 0/0"; done
    cat <<CONF
[mon]
mon data = ../ceph-mon/store
paxos propose interval = 0.05
paxos min wait = 0.02
mon osd nearfull ratio = .93
mon osd backfillfull ratio = .94
mon osd full ratio = .95
[osd]
admin socket = osd.asok
osd data = ../ceph-osd/store
osd objectstore = bluestore
bluestore block size = 21474836480
bluestore block create = true
bluestore fsck on mount = false
osd memory target = 939524096
osd op num shards = 1
osd op num threads per shard = 4
osd crush update on start = false
osd heartbeat grace = 60
osd max object name len = 2048
[client]
keyring = /dev/null
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port[s3]} tcp_nodelay=1
objecter tick interval = 0.5
rgw override bucket index max shards = 1
rgw thread pool size = 64
rgw enable usage log = false
rgw ops log rados = false
rgw init timeout = 60
rgw exit timeout secs = 5
CONF
  } >"$data/ceph.conf"
}
