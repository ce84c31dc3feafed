#!/usr/bin/env bash
# dist_train.sh CONFIG GPUS [options of train.py]
# GPUS is the number of processes of this machine; without CUDA they run on the CPU (gloo).
# Several machines: start it on each, with the environment variables NNODES (how many), NODE_RANK (0
# to NNODES - 1), and MASTER_ADDR and PORT of the machine of rank 0; --work-dir lies on a disk that
# all share:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 tools/dist_train.sh CONFIG 8 --work-dir /shared/run
#   NNODES=2 NODE_RANK=1 MASTER_ADDR=10.0.0.1 tools/dist_train.sh CONFIG 8 --work-dir /shared/run
# MAX_RESTARTS=3 with --resume: where a process dies, all start again from the last checkpoint.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [options of train.py]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    --max-restarts="${MAX_RESTARTS:-0}" \
    "$HERE/train.py" "$CONFIG" --launcher pytorch "${@:3}"
