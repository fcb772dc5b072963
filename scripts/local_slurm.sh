#!/usr/bin/env bash
# A real SLURM on this one machine, for tests and for trying things out; needs Debian and root.
#
#   scripts/local_slurm.sh start DIR [NODES [CPUS]]     installs what is missing (Debian's packages)
#   source DIR/env.sh                                   sbatch, srun, squeue, sacct, scancel work now
#   scripts/local_slurm.sh stop DIR
#
# Bound to 127.0.0.1, without systemd and cgroups; everything it writes is in DIR, but for a line in
# /etc/hosts by which the nodes find each other. Partition `high` preempts `main`. `stop` ends only
# what `start` started.
set -euo pipefail

ACTION=${1:?start or stop}
DIR=$(realpath -m "${2:?a folder}")
NODES=${3:-2}
CPUS=${4:-2}
export SLURM_CONF="$DIR/slurm.conf"
MARK="# meddistill-local-slurm"
PACKAGES=(slurmctld slurmd slurm-client slurmdbd munge mariadb-server)

install_packages() {
  local missing=()
  for package in "${PACKAGES[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2> /dev/null | grep -q "ok installed" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ ! -e /usr/sbin/policy-rc.d ]; then # else dpkg would start them all as services
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

free_ports() {
  python3 - "$1" << 'PY'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*[each.getsockname()[1] for each in sockets])
PY
}

start_munge() { # with a key and a socket of its own
  head -c 128 /dev/urandom > "$DIR/munge/munge.key"
  chmod 400 "$DIR/munge/munge.key"
  chmod 711 "$DIR/munge"
  munged --key-file="$DIR/munge/munge.key" --socket="$DIR/munge/munge.sock" \
    --pid-file="$DIR/munge/munged.pid" --log-file="$DIR/munge/munged.log" \
    --seed-file="$DIR/munge/munged.seed" --num-threads=2
  cp "$DIR/munge/munged.pid" "$DIR/pids/munged.pid"
}

write_config() { # from ports: controller, accounting, nodes
  local controller=$1 accounting=$2 host
  shift 2
  host=$(hostname -s)
  {
    cat << CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=$controller
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job waits before it starts again (120 s by default)
AuthInfo=socket=$DIR/munge/munge.sock,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool.%n
SlurmctldPidFile=$DIR/pids/slurmctld.pid
SlurmdPidFile=$DIR/pids/slurmd.%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=200000,bf_interval=2
SlurmdParameters=config_overrides
JobRequeue=1
KillWait=5
MinJobAge=300
MailProg=/bin/true
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
DefMemPerCPU=200
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$accounting
AccountingStoragePass=$DIR/munge/munge.sock
CONF
    local node=1
    for port in "$@"; do
      echo "NodeName=n$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$port CPUs=$CPUS RealMemory=4000"
      node=$((node + 1))
    done
    echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=10 PreemptMode=REQUEUE GraceTime=10"
    echo "PartitionName=high Nodes=ALL MaxTime=INFINITE PriorityTier=100 PreemptMode=OFF"
  } > "$DIR/slurm.conf"
  printf 'CgroupPlugin=cgroup/v1\nConstrainCores=no\nConstrainRAMSpace=no\n' > "$DIR/cgroup.conf"
  cat > "$DIR/slurmdbd.conf" << CONF
AuthType=auth/munge
AuthInfo=socket=$DIR/munge/munge.sock
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$accounting
SlurmUser=$(id -un)
LogFile=$DIR/log/slurmdbd.log
PidFile=$DIR/pids/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
CommunicationParameters=NoInAddrAny
CONF
  chmod 600 "$DIR/slurmdbd.conf"
  echo "export SLURM_CONF=$DIR/slurm.conf" > "$DIR/env.sh"
}

start_accounting() { # without it nobody learns how a killed job ended
  local user socket="$DIR/db/my.sock"
  user=$(id -un)
  if [ "$(id -u)" = 0 ]; then
    user=mysql
    chown mysql "$DIR/db"
  fi
  mariadb-install-db --no-defaults --user="$user" --datadir="$DIR/db/data" \
    --auth-root-authentication-method=normal --skip-test-db > "$DIR/log/install-db.log" 2>&1
  mariadbd --no-defaults --user="$user" --datadir="$DIR/db/data" --socket="$socket" \
    --pid-file="$DIR/db/my.pid" --skip-networking --innodb-buffer-pool-size=64M \
    --innodb-lock-wait-timeout=900 > "$DIR/log/mariadbd.log" 2>&1 < /dev/null &
  echo $! > "$DIR/pids/mariadbd.pid"
  for _ in $(seq 200); do
    mariadb-admin --no-defaults -S "$socket" -uroot ping > /dev/null 2>&1 && break
    sleep 0.1
  done
  mariadb --no-defaults -S "$socket" -uroot -e "CREATE DATABASE slurm;
    CREATE USER slurm@localhost IDENTIFIED BY 'slurm'; GRANT ALL ON slurm.* TO slurm@localhost;"
  MYSQL_UNIX_PORT="$socket" slurmdbd
  for _ in $(seq 50); do
    timeout 3 sacctmgr -n list cluster > /dev/null 2>&1 && break
    sleep 0.2
  done
  timeout 20 sacctmgr -i -Q add cluster local > /dev/null
}

start() {
  if ls "$DIR"/pids/*.pid > /dev/null 2>&1; then
    echo "$DIR: there is one already; stop it first" >&2
    exit 1
  fi
  install_packages
  mkdir -p "$DIR"/{pids,log,state,munge,db}
  chmod 755 "$DIR"
  trap '[ $? = 0 ] || { tail -n 5 "$DIR"/log/*.log >&2; stop; }' EXIT
  start_munge
  # shellcheck disable=SC2046
  write_config $(free_ports $((NODES + 2)))
  start_accounting
  echo "127.0.0.1 $(seq -s ' ' -f 'n%g' "$NODES") $MARK" >> /etc/hosts
  slurmctld
  for node in $(seq "$NODES"); do
    mkdir -p "$DIR/spool.n$node"
    slurmd -N "n$node"
  done
  for _ in $(seq 200); do
    [ "$(timeout 3 sinfo -h -N -p main -o '%t' 2> /dev/null | grep -c '^idle$')" = "$NODES" ] && break
    sleep 0.1
  done
  sinfo
  [ "$(sinfo -h -N -p main -o '%t' | grep -c '^idle$')" = "$NODES" ]
}

stop() {
  timeout 10 scancel -u "$(id -un)" 2> /dev/null || true
  for _ in $(seq 50); do
    [ -z "$(timeout 5 squeue -h -t R,CG 2> /dev/null)" ] && break
    sleep 0.2
  done
  local file
  for file in "$DIR"/pids/slurmd.*.pid "$DIR"/pids/{slurmctld,slurmdbd,mariadbd,munged}.pid; do
    [ -s "$file" ] && end "$(cat "$file")"
    rm -f "$file"
  done
  if grep -q "$MARK\$" /etc/hosts; then # may be a mount, so it is written over and not replaced
    local others
    others=$(grep -v "$MARK\$" /etc/hosts)
    printf '%s\n' "$others" > /etc/hosts
  fi
}

end() {
  kill "$1" 2> /dev/null || return 0
  for _ in $(seq 100); do
    kill -0 "$1" 2> /dev/null || return 0
    sleep 0.1
  done
  kill -9 "$1"
}

"$ACTION"
