.PHONY: verbs setup build demo test ci bench quality lint format asan
verbs setup build demo test ci bench quality lint format asan: ; @./run $(@:verbs=)
