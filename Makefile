TARGETS = run test lint e2e bench interop soak setup clean help
.PHONY: $(TARGETS)
$(TARGETS): ; @./dev $@
