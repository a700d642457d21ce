# shellcheck shell=bash
# How jobs run. Edit this line:
#   local   on this machine, output to log files
#   stdout  on this machine, output to log files and to the terminal
cmd_backend=local

case ${cmd_backend} in
    local) launcher=run.pl ;;
    stdout) launcher=stdout.pl ;;
    *)
        echo "cmd.sh: cmd_backend is '${cmd_backend}', but only local and stdout exist" >&2
        return 1
        ;;
esac
export train_cmd=${launcher}  # features
export cuda_cmd=${launcher}   # training
export decode_cmd=${launcher} # decoding
