# paper.awk - ImageNet-64's network on machines that are not there, by model.awk.  What is assumed is
# in BEGIN; docs/scale.md says why.

BEGIN {
    weights = 295899267
    batch = 2048
    forward = 206.9e9     # operations of an image through the network
    small = 43.6e9        # of CIFAR-10's
    here = 0.24e12        # operations a second of the two cores at hand
    a_step = 6 * forward  # of an image: student, its gradient (2), target, teacher twice (Heun)
    adam_ns = 1.7         # of a weight, on a processor (measured.txt: update / weights)
    # Machines: operations a second, update's speed against a processor's.
    flops["cpu"] = 3.2e12; faster["cpu"] = 4
    flops["gpu"] = 8 * 43e12; faster["gpu"] = 800
    name["cpu"] = "64 cores"
    name["gpu"] = "8 A100"
    message["cpu"] = 0.025 # ms of each message, by TCP (measured.txt: CPU of small sums)
    message["gpu"] = 0.002 # by InfiniBand
    latency = 0.3          # ms of a sum alone
}

# ms of the sum of b bytes over n machines at g Gbit/s
function sum_ms(what, b, n, g) {
    return 2 * (n - 1) / n * b / (g * 1e9 / 8) * 1e3 + 2 * (n - 1) * message[what]
}

# The step of n machines of a kind at g Gbit/s, of images in `own` parts each, in `cut` buckets of
# the profile's 64; sharded: the update split, and the weights gathered after it.
function step_ms(what, images, n, g, cut, own, sharded,    i, total, adam, end, r, f, none) {
    total = images / n * a_step / flops[what] * 1e3
    adam = weights * adam_ns * 1e-6 / faster[what]
    if (n == 1)
        return total + adam
    buckets["paper"] = cut
    for (i = 1; i <= cut; i++) {
        share["paper", i] = cut == 1 ? 1 : share["wide", int(i * buckets["wide"] / cut)]
        r[i] = sum_ms(what, 4 * weights / cut, n, g) / (sharded ? 2 : 1)
        f[i] = r[i] + latency
        none[i] = 0
    }
    end = sums_done("paper", total, own, f, r, none)
    end = end > gradient ? end : gradient
    return sharded ? end + adam / n + sum_ms(what, 4 * weights, n, g) / 2 : end + adam
}

function row_of(title, images, what, g, cut, own, sharded,    i, n) {
    printf "| %s | %s | %s |", name[what], g, title
    for (i = 1; i <= counts; i++) {
        n = count[i]
        printf " %.2f |", step_ms(what, images, 1) / n / step_ms(what, images, n, g, cut, own, sharded)
    }
    printf "\n"
}

function rows_of(what, g) {
    row_of("one sum at the end", batch, what, g, 1, 1, 0)
    row_of("8 buckets", batch, what, g, 8, 1, 0)
    row_of("64 buckets", batch, what, g, 64, 1, 0)
    row_of("64, sharded", batch, what, g, 64, 1, 1)
    row_of("64, in 2 parts each", batch, what, g, 64, 2, 0)
    row_of("64, 8 times the batch in 8 parts each", 8 * batch, what, g, 64, 8, 0)
}

function recipe(title, images, ops) {
    ops *= images
    printf "| %s | %.1e | %.0f | %.1f | %.1f | %.2f |\n", title, ops, ops / here / 86400 / 365,
           ops / flops["cpu"] / 86400 / 100, ops / flops["gpu"] / 86400, ops / flops["gpu"] / 86400 / 8
}

END {
    counts = split("2 8 32 128 512 1024", count)
    print "| machine | Gbit/s | | 2 | 8 | 32 | 128 | 512 | 1024 |\n| - | - | - | - | - | - | - | - | - |"
    rows_of("cpu", 1)
    rows_of("cpu", 10)
    rows_of("gpu", 100)
    rows_of("gpu", 400)
    print "\n| recipe | operations | here, years | 100 x 64 cores, days | 8 A100, days | 64 A100 |"
    print "| - | - | - | - | - | - |"
    recipe("ImageNet-64 EDM, 2500 million images", 2500e6, 3 * forward)
    recipe("ImageNet-64 CD, 600,000 x 2048", 600e3 * 2048, 6 * forward)
    recipe("ImageNet-64 CT, 800,000 x 2048", 800e3 * 2048, 4 * forward)
    recipe("CIFAR-10 EDM, 200 million images", 200e6, 3 * small)
    recipe("CIFAR-10 CD, 800,000 x 512", 800e3 * 512, 6 * small)
    recipe("CIFAR-10 CT, 800,000 x 512", 800e3 * 512, 4 * small)
}
