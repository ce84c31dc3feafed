#!/usr/bin/env bash
# dist_train.sh CONFIG GPUS [options of train.py]
# GPUS is the number of processes of this machine; without CUDA they run on the CPU (gloo).
# Several machines: start it on each, with the environment variables NNODES (how many), NODE_RANK (0
# to NNODES - 1), and MASTER_ADDR and PORT of the machine of rank 0; --work-dir lies on a disk that
# all share:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 tools/dist_train.sh CONFIG 8 --work-dir /shared/run
#   NNODES=2 NODE_RANK=1 MASTER_ADDR=10.0.0.1 tools/dist_train.sh CONFIG 8 --work-dir /shared/run
# MAX_RESTARTS=3 with --resume: where a process dies, all start again from the last checkpoint. Give
# it to every machine; ranks then follow the order in which the machines arrive, not NODE_RANK.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [options of train.py]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

RENDEZVOUS=(
    --node_rank="${NODE_RANK:-0}"
    --master_addr="${MASTER_ADDR:-127.0.0.1}"
    --master_port="${PORT:-29500}"
)
if [ "${MAX_RESTARTS:-0}" -gt 0 ]; then
    # A store of its own for each start: in one that stays, the processes that start again find the
    # addresses of those that died, and are refused there.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    RENDEZVOUS=(
        --rdzv-backend=c10d
        --rdzv-endpoint="${MASTER_ADDR:-127.0.0.1}:${PORT:-29500}"
    )
    if [ "${NNODES:-1}" = 1 ]; then
        RENDEZVOUS+=(--local-addr=127.0.0.1)
    fi
fi

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    "${RENDEZVOUS[@]}" \
    --nproc_per_node="$GPUS" \
    --max-restarts="${MAX_RESTARTS:-0}" \
    "$HERE/train.py" "$CONFIG" --launcher pytorch "${@:3}"
