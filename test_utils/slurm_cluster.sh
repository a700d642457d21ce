#!/usr/bin/env bash
# A Slurm cluster of one node (this machine, 2 CPUs) in a folder, without systemd, for
# tests of slurm.pl:
#
#   . <(test_utils/slurm_cluster.sh start /tmp/cluster)   # sets SLURM_CONF
#   sinfo; ...
#   test_utils/slurm_cluster.sh stop /tmp/cluster
#
# Needs Debian's packages slurm-wlm and munge, and root (the daemons start jobs as users).
set -euo pipefail

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

# write_config: no cgroups, no accounting database: what runs in a container too.
write_config() {
    local host
    host=$(hostname -s)
    cat > slurm.conf << CONFIG
ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthInfo=socket=${folder}/munge/socket
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=2000
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SchedulerParameters=sched_min_interval=10000,batch_sched_delay=0
KillWait=1
InactiveLimit=0
ReturnToService=2
NodeName=${host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP
CONFIG
}

start() {
    local program
    for program in munged slurmctld slurmd sbatch; do
        PATH=${PATH}:/usr/sbin:/sbin command -v "${program}" > /dev/null \
            || fail "no ${program}; install Debian's packages slurm-wlm and munge"
    done
    [ "$(id -u)" = 0 ] || fail "must be root, to start Slurm's daemons"
    mkdir -p munge state spool
    chmod 755 . munge
    [ -f munge/key ] || head -c 1024 /dev/urandom > munge/key
    chmod 400 munge/key
    munged --force --key-file="${folder}/munge/key" --socket="${folder}/munge/socket" \
        --pid-file="${folder}/munged.pid" --log-file="${folder}/munged.log" \
        --seed-file="${folder}/munge/seed" > munged.out 2>&1 || fail "$(cat munged.out)"
    write_config
    export SLURM_CONF=${folder}/slurm.conf
    slurmctld > slurmctld.out 2>&1 || fail "$(cat slurmctld.out)"
    slurmd > slurmd.out 2>&1 || fail "$(cat slurmd.out)"
    for _ in $(seq 100); do
        if [ "$(sinfo -h -o %t 2>&1)" = idle ]; then
            echo "export SLURM_CONF=${SLURM_CONF}"
            return
        fi
        sleep 0.2
    done
    fail "the node does not come up: $(sinfo 2>&1; tail -n 5 slurmctld.log slurmd.log)"
}

stop() {
    local name pid
    if [ -f slurm.conf ]; then
        export SLURM_CONF=${folder}/slurm.conf
        timeout 10 scancel --user "$(id -un)" || true
        for _ in $(seq 25); do
            [ -n "$(timeout 10 squeue -h)" ] || break
            sleep 0.2
        done
    fi
    for name in slurmd slurmctld munged; do
        [ -f "${name}.pid" ] || continue
        pid=$(cat "${name}.pid")
        kill "${pid}" 2> /dev/null || true
        for _ in $(seq 50); do
            kill -0 "${pid}" 2> /dev/null || break
            sleep 0.1
        done
    done
}

[ $# = 2 ] && [[ $1 =~ ^(start|stop)$ ]] || fail "usage: ${0##*/} start|stop FOLDER"
mkdir -p "$2"
folder=$(cd "$2" && pwd)
cd "${folder}"
export PATH=${PATH}:/usr/sbin:/sbin
"$1"
