# The shell that runs cibuildwheel's commands reads this first. Each command is `env NAME=VALUE... PROGRAM...` with all variables
# of the container, so for a moment they are the command line of a process, which every user of the machine can read. Here the
# shell sets them itself. Later shells have no such function.
unset BASH_ENV
env() (
    odd=()
    while [[ ${1-} == *=* ]]; do
        if [[ ${1%%=*} =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]]; then export "$1"; else odd+=("$1"); fi
        shift
    done
    if ((${#odd[@]})); then exec env "${odd[@]}" "$@"; fi
    exec "$@"
)
