#!/bin/sh
# test_mpi_hosts.sh - cm train over two hosts: network namespaces with names and addresses of their
# own and a link of 1 Gbit/s between them.  The same bits as one process, the way of the sums, and
# the end when a host is lost.
#
# usage: test_mpi_hosts.sh CM MAKE_DATA MODULE
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
module=$make_weights # the third
a=cm-a-$$ b=cm-b-$$

clear_hosts()
{
    ip netns del "$a" 2>/dev/null
    ip netns del "$b" 2>/dev/null
}
make_hosts()
{
    ip netns add "$a" && ip netns add "$b" &&
        ip link add cm-veth netns "$a" type veth peer name cm-veth netns "$b" &&
        ip -n "$a" addr add 10.77.0.1/24 dev cm-veth && ip -n "$b" addr add 10.77.0.2/24 dev cm-veth ||
        return 1
    for host in "$a" "$b"; do
        ip -n "$host" link set lo up && ip -n "$host" link set cm-veth up &&
            ip netns exec "$host" tc qdisc add dev cm-veth root tbf rate 1gbit burst 256kb latency 50ms ||
            return 1
    done
}

if [ ! -f "$module" ] || ! command -v mpirun >/dev/null; then
    echo "skip: built without MPI, or there is no mpirun"
    exit 77
fi
if ! make_hosts 2>"$scratch/err"; then
    echo "skip: cannot make network namespaces: $(tail -n 1 "$scratch/err")"
    clear_hosts
    exit 77
fi
trap 'clear_hosts; rm -rf "$scratch"' EXIT
"$make_data" "$scratch" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl=tcp,self
export OMPI_MCA_plm_rsh_agent="$scratch/agent"

# What mpirun takes for ssh: HOST COMMAND...; the second host is the only one it is asked for.
cat >agent <<END
#!/bin/sh
shift
cd "$scratch"
exec ip netns exec $b unshare -u sh -c "hostname cm-b; \$*"
END
chmod +x agent

usual="--method edm $tiny --batch 8 --accumulate 4 --log-every 1 --ema-rates 0.9 --out run"

# hosts ARGUMENT...: cm on both
hosts()
{
    code=0
    ip netns exec "$a" unshare -u sh -c "hostname cm-a; exec timeout -k 5 200 mpirun \
        --host 10.77.0.1:1,10.77.0.2:1 -n 2 $cm $*" >"$scratch/out" 2>"$scratch/err" || code=$?
}

# shellcheck disable=SC2086 # lists of words
{
in_folder one works 'on one process' train $usual --steps 6
hosts train $usual --steps 6
ok 'on two hosts' succeeded
mkdir two
mv run two
ok 'the same weights, averages and moments' same_run 3 one two
ok 'the share of time in sums, and of waiting for them, is logged' \
    test "$(grep -c '"sums":0.*"waits":0' two/run/log.jsonl)" = 6
hosts train $usual --steps 6 --data nowhere
ok 'an error, once' test "$(grep -c '^cm: .*nowhere' err)" = 1

# The daemon of the second host is killed, as if it were gone with what ran there.
(
    hosts train $usual --steps 100000 --save-every 5
    echo "$code" >ended
) &
for _ in $(seq 600); do
    [ ! -d run/ckpt/00000005 ] || break
    sleep 0.1
done
ok 'a run' test -d run/ckpt/00000005
for pid in $(ip netns pids "$b"); do
    kill -9 "$pid"
done
for _ in $(seq 30); do
    [ ! -f ended ] || break
    sleep 1
done
ok 'a host is lost: the run ends within 30 s' test -f ended
wait
ok 'with an error' test "$(cat ended)" -ne 0
last=$(basename "$(readlink -f run/ckpt/latest)" | sed 's/^0*//')
works 'the host that is left goes on' train --resume --out run --steps $((last + 2))
}
finish
