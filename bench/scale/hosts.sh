#!/bin/sh
# hosts.sh - mpirun over network namespaces, as over hosts with slow networks
#
# usage: hosts.sh N RATE DELAY COMMAND...
#   N      hosts, one process each; host i has core i modulo the number of cores
#   RATE   what each may send, as tc says it (100mbit), or none: as fast as it goes
#   DELAY  ms on the way between two hosts, by build/bench/scale/wire; 0: none
# Needs to be root, iproute2, Open MPI.  The hosts meet at a bridge, or by the wire.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 3 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
n=$1 rate=$2 delay=$3
shift 3
host=cm$$- switch=cm$$-switch
tmp=$(mktemp -d)
pid=

clear_hosts()
{
    [ -z "$pid" ] || kill "$pid"
    for i in $(seq "$n"); do ip netns del "$host$i" 2>/dev/null || :; done
    ip netns del "$switch" 2>/dev/null || :
    rm -rf "$tmp"
}
trap clear_hosts EXIT
trap 'exit 1' INT TERM

ip netns add "$switch"
ip -n "$switch" link add bridge0 type bridge
ip -n "$switch" link set bridge0 up
for i in $(seq "$n"); do
    ip netns add "$host$i"
    ip -n "$host$i" link set lo up
done
if [ "$delay" != 0 ]; then
    [ "$n" = 2 ] || { echo "hosts.sh: a delay is between 2 hosts, found $n" >&2; exit 2; }
    "${WIRE:-$here/../../build/bench/scale/wire}" "${host}1" "${host}2" "$delay" &
    pid=$!
    sleep 0.3
fi
for i in $(seq "$n"); do
    if [ "$delay" = 0 ]; then
        ip link add wire0 netns "$host$i" type veth peer name "port$i" netns "$switch"
        ip -n "$switch" link set "port$i" master bridge0 up
    fi
    ip -n "$host$i" addr add "10.77.0.$i/24" dev wire0
    ip -n "$host$i" link set wire0 mtu 9000 up
    [ "$delay" != 0 ] || ip -n "$switch" link set "port$i" mtu 9000
    [ "$rate" = none ] || ip netns exec "$host$i" \
        tc qdisc add dev wire0 root tbf rate "$rate" burst 64kb limit 4mb
done

# What mpirun takes for ssh: ADDRESS COMMAND...
cat >"$tmp/agent" <<END
#!/bin/sh
i=\${1##*.}
shift
cd "$PWD"
exec ip netns exec $host\$i taskset -c \$(((i - 1) % $(nproc))) unshare -u sh -c "hostname $host\$i; \$*"
END
chmod +x "$tmp/agent"
list=$(seq -s , -f '10.77.0.%g:1' "$n")
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# The processes stay in this session (--leave-session-attached), and where the agent put them.
ip netns exec "${host}1" taskset -c 0 unshare -u sh -c "hostname ${host}1; exec \"\$@\"" sh \
    mpirun --leave-session-attached --bind-to none --mca btl tcp,self \
    --mca plm_rsh_agent "$tmp/agent" --mca plm_rsh_no_tree_spawn 1 --host "$list" -n "$n" "$@"
