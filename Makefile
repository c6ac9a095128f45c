.PHONY: verbs setup build demo test ci bench quality lint deb format asan
verbs setup build demo test ci bench quality lint deb format asan: ; @./run $(@:verbs=)
