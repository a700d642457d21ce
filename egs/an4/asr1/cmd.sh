# shellcheck shell=bash
# How jobs run. Edit this line:
#   local   on this machine, output to log files
#   stdout  on this machine, output to log files and to the terminal
#   sge     Grid Engine: queue.pl, options in conf/queue.conf
#   slurm   Slurm: slurm.pl, options in conf/slurm.conf
#   pbs     PBS, Torque: pbs.pl, options in conf/pbs.conf
#   ssh     the machines in .queue/machines, without a scheduler
#   jhu     Grid Engine whose jobs look for idle GPUs themselves, as at CLSP
# Memory, time and the like are options here (train_cmd="slurm.pl --mem 4G"); the files
# conf/*.conf, or else utils/conf/*.conf, say what the cluster gets for them.
cmd_backend='local'

case ${cmd_backend} in
    local) launcher=run.pl ;;
    stdout) launcher=stdout.pl ;;
    sge | jhu) launcher=queue.pl ;;
    slurm | pbs | ssh) launcher=${cmd_backend}.pl ;;
    *)
        echo "cmd.sh: cmd_backend is '${cmd_backend}', which is none of local, stdout," \
            "sge, slurm, pbs, ssh, jhu" >&2
        return 1
        ;;
esac
export train_cmd=${launcher}  # features
export cuda_cmd=${launcher}   # training
export decode_cmd=${launcher} # decoding

if [ "${cmd_backend}" = jhu ]; then
    train_cmd="queue.pl --mem 2G"
    cuda_cmd="queue-freegpu.pl --mem 2G --gpu 1 --config conf/gpu.conf"
    decode_cmd="queue.pl --mem 4G"
fi
