# The habits of the project. `make` alone prints them.

.DEFAULT_GOAL := help
.PHONY: help generate build run dev demo test check bench bench-full chaos screenshots browser

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

generate: ## write what is generated: Go from templates, the Datastar client from the module cache
	@go generate ./...

build: generate ## build ./parlor, which needs no library
	@CGO_ENABLED=0 go build -trimpath -o parlor .

run: build ## start Parlor on http://localhost:8080 (ARGS="-addr :9000" or PARLOR_… are passed on)
	@sh db/postgres/install.sh
	@./parlor $(ARGS)

dev: generate ## like run; a saved .templ or .css file is seen in the browser at http://localhost:7331
	@sh db/postgres/install.sh
	@PARLOR_DEV=1 go tool templ generate --watch --watch-pattern='(.+\.go$$)|(.+\.templ$$)|(.+/static/.+\.(css|js|svg)$$)' \
		--ignore-pattern='(/data/)|(_test\.go$$)' --proxy=http://127.0.0.1:8080 --open-browser=false --cmd="go run . $(ARGS)"

demo: build ## start Parlor with a conversation that shows everything, in a folder of its own (ARGS="-addr :9000")
	@sh db/postgres/install.sh
	@./parlor demo $(ARGS)

test: check ## all tests: units, HTTP, Postgres, and people in a browser
	@sh db/postgres/install.sh
	@sh app/e2e/install.sh
	@go run ./db/dbtest/cluster -- go test -count=1 -parallel 3 -timeout 14m ./app/e2e ./... # the longest first

check: ## formatting, vet, and that what is generated is fresh
	@before=$$(cat views/*_templ.go | cksum); $(MAKE) -s generate >/dev/null; \
		[ "$$before" = "$$(cat views/*_templ.go | cksum)" ] || { echo "generated files were stale; they are written now, commit them"; exit 1; }
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt on these files"; exit 1; }
	@go tool templ fmt -fail views >/dev/null || { echo "run: go tool templ fmt views"; exit 1; }
	@go vet ./...

bench: generate ## measure against bare servers in the same run, in 5 minutes (ARGS="-only fanout,page", ARGS=-h explains)
	@sh db/postgres/install.sh
	@go run ./app/bench $(ARGS)

bench-full: generate ## the same with 10,000 and 19,000 streams, 10 million messages and 10 minutes of mixed load
	@sh db/postgres/install.sh
	@ulimit -n 20000; go run ./app/bench -full $(ARGS)

chaos: generate ## let everything break for 10 minutes, and check that nothing is lost (ARGS="-seed 7 -for 1h"; ARGS=-h explains)
	@sh db/postgres/install.sh
	@sh app/e2e/install.sh
	@go run ./app/chaos $(ARGS)

screenshots: generate ## make the pictures of the README anew
	@sh app/e2e/install.sh
	@go run ./db/dbtest/cluster -- go test ./app/e2e -run "TestScreenshots|TestTour" -screenshots ../../docs
