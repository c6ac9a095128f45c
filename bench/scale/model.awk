# model.awk - the step time of N processes, from what was measured; docs/scale.md has the formulas.
# Times in ms, sizes in bytes.  With check.awk or paper.awk:
#
#   awk -f bench/scale/model.awk -f bench/scale/check.awk bench/scale/measured.txt

# The first of each.
$1 == "sum" {
    k = $2 " " $3 " " $4
    if ($5 <= bytes[k, sums[k] + 0])
        next
    i = ++sums[k]
    bytes[k, i] = $5; alone[k, i] = $6; row[k, i] = $7; cpu[k, i] = $8
}
# Medians of these.
$1 == "compute" {
    k = $2 " " $3 " " $4
    keep("C " k, $5 - $6)
    keep("U " k, $6)
}
$1 == "step" {
    k = $2 " " $3 " " $4 " " $5 " " $6 " " $7
    if (!(k in first_of))
        step[++steps] = k
    first_of[k] = 1
    keep("T " k, $8)
    round++
    computed = $8 - $11 - $9
}

# kept[k, 1..number[k]]: in order
function keep(k, x,    i) {
    for (i = ++number[k]; i > 1 && kept[k, i - 1] > x; i--)
        kept[k, i] = kept[k, i - 1]
    kept[k, i] = x
}
function median(k,    n) {
    n = number[k]
    return n % 2 ? kept[k, (n + 1) / 2] : (kept[k, n / 2] + kept[k, n / 2 + 1]) / 2
}

# The profile of a network: when each bucket is done, as a share of the last part's gradient.
# Of the first run of two processes over an unlimited network.
$1 == "bucket" && $4 == 2 && $5 == 2 && $6 == "none" && (!($2 in profile) || profile[$2] == round) {
    profile[$2] = round
    i = ++buckets[$2]
    size[$2, i] = $8 * 1048576
    share[$2, i] = $9 / computed
}

# What a sum of b bytes takes, between sizes in proportion; table: alone, row or cpu
function time_of(table, k, b,    i, n) {
    n = sums[k]
    for (i = 2; i < n && bytes[k, i] < b; i++);
    return table[k, i - 1] + (table[k, i] - table[k, i - 1]) * \
           (b - bytes[k, i - 1]) / (bytes[k, i] - bytes[k, i - 1])
}

# When the sums of a step are done, and its gradient (gradient).  The network net computes own parts
# of a batch in `total`; first and in_row [i]: bucket i alone, and behind another; taken[i]:
# from computing.
function sums_done(net, total, own, first, in_row, taken,    i, ready, end, late) {
    late = end = busy = 0
    for (i = 1; i <= buckets[net]; i++) {
        ready = total * (1 - (1 - share[net, i]) / own) + late
        begin = ready > end ? ready : end
        end = ready + first[i] > end + in_row[i] ? ready + first[i] : end + in_row[i]
        busy += end - begin
        late += taken[i]
    }
    gradient = total + late
    return end
}

# A measured network k, where `beside` processes share a core.
function predict(net, total, own, adam, k, beside,    i, end, a, r, c) {
    for (i = 1; i <= buckets[net]; i++) {
        a[i] = time_of(alone, k, size[net, i])
        r[i] = time_of(row, k, size[net, i])
        c[i] = beside * time_of(cpu, k, size[net, i])
    }
    end = sums_done(net, total, own, a, r, c)
    return (end > gradient ? end : gradient) + adam
}
