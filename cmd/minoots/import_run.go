package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
)

const (
	// longestLine is that of a timer, with room for white space.
	longestLine = 2 * minoots.MaxTimerBytes
	// importTries is how often a batch is sent while the API does not answer: for
	// about two minutes.
	importTries = 12
	importPause = 250 * time.Millisecond // before the second try; doubled, up to 20 s
)

// importer schedules the lines of a stream.
type importer struct {
	client      *client.Client
	name        string
	batch       int
	inFlight    int
	skipInvalid bool
	progress    *importProgress
	report      func(line int, problem string)

	mu                             sync.Mutex
	lines, created, already, wrong int
}

// importLine is a line that has a timer.
type importLine struct {
	number int
	bytes  int
	key    string
	spec   minoots.TimerSpec
}

func (im *importer) summary(took time.Duration) importSummary {
	im.mu.Lock()
	defer im.mu.Unlock()
	return importSummary{
		Lines: im.lines, Created: im.created, Already: im.already, Invalid: im.wrong,
		Seconds: took.Seconds(), PerSecond: float64(im.created) / max(took.Seconds(), 0.001),
	}
}

// run reads and sends, a few batches at once, until the end or the first error.
func (im *importer) run(ctx context.Context, in io.Reader) error {
	g, sending := errgroup.WithContext(ctx)
	g.SetLimit(im.inFlight)
	read := im.read(sending, in, func(batch []importLine) {
		g.Go(func() error { return im.send(sending, batch) })
	})
	return errors.Join(g.Wait(), read)
}

// read gives the lines in batches. The first line that is no timer ends it, and
// the batch that it would be in is not sent, unless such lines are left out.
func (im *importer) read(ctx context.Context, in io.Reader, send func([]importLine)) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	var batch []importLine
	number := 0
	for lines.Scan() {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the cause is told by what ended it
		}
		number++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		im.count(&im.lines, 1)
		line, err := im.parse(number, text)
		if err != nil {
			if err := im.invalid(number, err.Error()); err != nil {
				return err
			}
			continue
		}
		line.bytes = len(lines.Bytes()) + 1
		if batch = append(batch, line); len(batch) == im.batch {
			send(batch)
			batch = nil
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return fmt.Errorf("line %d is longer than %d bytes: want one timer a line", number+1, longestLine)
		}
		return fmt.Errorf("read line %d: %w", number+1, err)
	}
	if len(batch) > 0 && ctx.Err() == nil {
		send(batch)
	}
	return nil
}

// parse reads a line. Its own key, if it has one, stands for it wherever it is.
func (im *importer) parse(number int, text []byte) (importLine, error) {
	var given struct {
		minoots.TimerSpec
		IdempotencyKey string `json:"idempotencyKey"`
	}
	if err := strictJSON(text, &given); err != nil {
		return importLine{}, err
	}
	line := importLine{number: number, key: given.IdempotencyKey, spec: given.TimerSpec}
	if line.key == "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", im.name, number, text))
		line.key = "import-" + hex.EncodeToString(sum[:20])
	}
	return line, nil
}

func (im *importer) count(what *int, n int) {
	im.mu.Lock()
	defer im.mu.Unlock()
	*what += n
}

// invalid reports a line, and gives an error unless such lines are left out.
func (im *importer) invalid(number int, problem string) error {
	im.count(&im.wrong, 1)
	if im.skipInvalid {
		im.report(number, problem)
		return nil
	}
	return fmt.Errorf("line %d: %s (--skip-invalid leaves such lines out)", number, problem)
}

// send schedules a batch: all of it, or, without what is wrong with it, the rest.
func (im *importer) send(ctx context.Context, batch []importLine) error {
	for pause, try := importPause, 1; len(batch) > 0; {
		specs, keys, size := make([]minoots.TimerSpec, len(batch)), make([]string, len(batch)), 0
		for i, line := range batch {
			specs[i], keys[i] = line.spec, line.key
			size += line.bytes
		}
		_, replayed, err := im.client.CreateTimersOnce(ctx, specs, keys)
		var told *minoots.Error
		switch code := minoots.ErrorCode(err); {
		case err == nil:
			im.count(&im.created, len(batch)-replayed)
			im.count(&im.already, replayed)
			im.progress.done(size, len(batch))
			return nil
		case (code == minoots.CodeUnavailable || code == minoots.CodeRateLimited) && try < importTries && ctx.Err() == nil:
			wait := pause
			var response *client.ResponseError
			if errors.As(err, &response) {
				wait = max(wait, response.RetryAfter)
			}
			im.progress.note("%s; trying again in %s", err, wait)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
			pause = min(2*pause, 20*time.Second)
			try++
		case !errors.As(err, &told):
			return err
		default:
			wrong := wrongOnes(told, len(batch))
			if len(wrong) == 0 && code == minoots.CodeTooLarge && len(batch) > 1 {
				half := len(batch) / 2
				return errors.Join(im.send(ctx, batch[:half]), im.send(ctx, batch[half:]))
			}
			if len(wrong) == 0 {
				return err
			}
			if batch, err = im.without(batch, wrong); err != nil {
				return err
			}
		}
	}
	return nil
}

// without reports the wrong lines of a batch, in order, and gives the others.
func (im *importer) without(batch []importLine, wrong map[int]string) (rest []importLine, err error) {
	for i, line := range batch {
		problem, bad := wrong[i]
		if !bad {
			rest = append(rest, line)
			continue
		}
		if err := im.invalid(line.number, problem); err != nil {
			return nil, err
		}
		im.progress.done(line.bytes, 0)
	}
	return rest, nil
}

var wrongPath = regexp.MustCompile(`^(?:timers|idempotencyKeys)\[(\d+)\]\.?`)

// wrongOnes finds out which timers of a batch an error is about, and what it says
// of each first.
func wrongOnes(told *minoots.Error, timers int) map[int]string {
	wrong := map[int]string{}
	for _, f := range slices.Backward(told.Fields) {
		found := wrongPath.FindStringSubmatch(f.Path)
		if found == nil {
			continue
		}
		if i, err := strconv.Atoi(found[1]); err == nil && i < timers {
			wrong[i] = string(bytes.TrimSpace([]byte(f.Path[len(found[0]):] + " " + f.Message)))
		}
	}
	return wrong
}
