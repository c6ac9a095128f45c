.PHONY: verbs setup build demo test bench quality lint format asan
verbs setup build demo test bench quality lint format asan: ; @./run $(@:verbs=)
