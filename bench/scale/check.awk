# check.awk - measured steps beside their prediction by model.awk: medians, and how many rounds

END {
    cores = 2
    print "| network | batch | N | parts | rate | delay | predicted | measured | rounds | ratio |"
    print "| - | - | - | - | - | - | - | - | - | - |"
    for (s = 1; s <= steps; s++) {
        split(step[s], f)
        n = f[3]
        own = f[4] / n
        part = f[1] " " f[2] / own " " n
        p = predict(f[1], own * median("C " part), own, median("U " part),
                    n " " f[5] " " f[6], n > cores ? n / cores : 1)
        t = "T " step[s]
        printf "| %s | %d | %d | %d | %s | %s | %.0f | %.0f | %d | %.2f |\n", f[1], f[2], n, f[4],
               f[5], f[6], p, median(t), number[t], p / median(t)
    }
}
