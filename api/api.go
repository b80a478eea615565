// Package api is the REST interface, huma operations on net/http's ServeMux, and
// beside it the gRPC interface (grpc.go), which calls the same functions.
//
// A request passes through, in this order:
//
//	exchange.go   its id, the log, the metrics, panics, problems of the mux itself
//	auth.go       the credential, which decides the tenant, and the role
//	query.go      unknown and repeated query parameters
//	body.go       size, encoding, shape: the body is read once and decoded strictly
//	timers.go …   one file a resource: domain validation, one call of db, an answer
//	problem.go    every error, by the one table of codes and statuses
//
// Each operation is declared as a route beside its handler, and openapi.go makes
// the document of them. A new operation is a route and a handler, and tests fail
// until it has an example and a case in the table of roles.
package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/eventhub"
)

// operationTimeout ends an operation whose database does not answer.
const operationTimeout = 30 * time.Second

// Hinter is told of instants at which something new is due.
type Hinter interface {
	// Hint never blocks.
	Hint(dueAt time.Time)
}

// Config says what an API works on.
type Config struct {
	// DB is the pool that requests are served from.
	DB *db.DB
	// Hinter hears when each new timer is due. May be nil.
	Hinter Hinter
	// Hub feeds event streams. May be nil: then there are pages of events only.
	Hub *eventhub.Hub
	// Checks judge what the domain's own package cannot, such as the parameters of
	// actions.
	Checks minoots.Checks
	// Deliver makes one attempt of a delivery at once, for tests of subscriptions. May
	// be nil: then there are none.
	Deliver func(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome
	// Subscribed is told when there is a subscription. May be nil.
	Subscribed func(any bool)
	// Ready tells grpc.health.v1 whether requests may come. Defaults to whether
	// Postgres answers.
	Ready func(context.Context) bool
	// Follow makes jobs of what follows an acknowledgement, and Judge decides
	// whether there is another attempt after one of failure. Without them
	// acknowledgements are refused.
	Follow Follower
	Judge  db.Judge
	// Registerer takes the metrics. May be nil: then nobody sees them.
	Registerer prometheus.Registerer
	// Log receives failures and, on debug, requests. Defaults to slog.Default.
	Log *slog.Logger
}

// API serves the operations. It starts nothing and needs no stopping.
type API struct {
	db         *db.DB
	creates    *db.Coalescer
	herds      herds
	hinter     Hinter
	hub        *eventhub.Hub
	checks     minoots.Checks
	follow     Follower
	judge      db.Judge
	ready      func(context.Context) bool
	log        *slog.Logger
	keys       *keyCache
	metrics    *metrics
	waits      *waits
	mux        *http.ServeMux
	huma       huma.API
	deliver    func(context.Context, minoots.Delivery, int) minoots.Outcome
	subscribed func(any bool)
	// heartbeat is that of event streams.
	heartbeat time.Duration
}

// New builds the API.
func New(cfg Config) (*API, error) {
	if cfg.DB == nil {
		return nil, errors.New("build API: no database")
	}
	a := build(cfg)
	if cfg.Registerer != nil {
		if err := a.metrics.register(cfg.Registerer, a.waits.gauge, a.waits.looks, a.waits.listens); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// OpenAPI gives the interface's document, OpenAPI 3.0.3 as YAML. It needs no
// database.
func OpenAPI() ([]byte, error) { return build(Config{}).huma.OpenAPI().DowngradeYAML() }

// Handler serves the operations, which all begin with /v1/.
func (a *API) Handler() http.Handler { return http.HandlerFunc(a.serve) }

func build(cfg Config) *API {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Ready == nil {
		cfg.Ready = func(ctx context.Context) bool { return cfg.DB.Ping(ctx) == nil }
	}
	if cfg.Subscribed == nil {
		cfg.Subscribed = func(bool) {}
	}
	a := &API{
		deliver: cfg.Deliver, subscribed: cfg.Subscribed,
		ready: cfg.Ready, db: cfg.DB, creates: db.NewCoalescer(cfg.DB), hinter: cfg.Hinter, hub: cfg.Hub,
		checks: cfg.Checks, log: cfg.Log,
		follow: cfg.Follow, judge: cfg.Judge,
		keys: newKeyCache(cfg.DB.KeyFind), metrics: newMetrics(), mux: http.NewServeMux(),
		heartbeat: heartbeat, waits: newWaits(cfg.DB, cfg.Log),
	}
	a.huma = humago.New(a.mux, documentConfig())
	a.timerRoutes()
	a.timerChangeRoutes()
	a.timerPatchRoutes()
	a.timerListRoutes()
	a.timerBulkRoutes()
	a.timerReplayRoutes()
	a.timerWaitRoutes()
	a.usageRoutes()
	a.batchRoutes()
	a.firingRoutes()
	a.deadLetterRoutes()
	a.recurrenceRoutes()
	a.eventRoutes()
	a.subscriptionRoutes()
	a.keyRoutes()
	a.secretRoutes()
	a.acknowledgementRoutes()
	a.destinationRoutes()
	a.tenantRoutes()
	a.grpcRoutes()
	finishSchemas(a.huma.OpenAPI().Components.Schemas)
	return a
}

// Leave has all requests answered that only wait. Call it when the server begins
// to shut down, which else would take as long as the longest of them.
func (a *API) Leave() { a.waits.stop() }

// Ear hears which timers are over, for those who wait for them. Unless a Session
// tells it, it polls while anybody waits.
func (a *API) Ear() db.Ear { return a.waits }

// route is what there is to say of one operation.
type route struct {
	ID           string // operationId, which names the method in generated clients
	Method, Path string
	Tag          string
	Summary      string
	Description  string
	Role         minoots.Role // that the credential must have; none: the path is the credential
	Status       int          // of success
	Errors       []int        // beyond those that any operation may answer
	MaxBody      int          // bytes; defaults to one timer's
	Example      string       // a body that works
	Responses    map[string]*huma.Response
	Timeout      time.Duration // defaults to operationTimeout
}

// register adds an operation. A field of I of a body type becomes its request
// body in the document.
func register[I, O any](a *API, r route, handle func(context.Context, *I) (*O, error)) {
	requestBody := describeBody[I](a.huma.OpenAPI().Components.Schemas, r.Example)
	description, asks, extensions := r.Description, []map[string][]string{}, map[string]any(nil)
	if r.Role != "" {
		description += "\n\nNeeds the role `" + string(r.Role) + "`."
		asks, extensions = security, map[string]any{"x-minoots-role": r.Role}
	}
	huma.Register(a.huma, huma.Operation{
		OperationID: r.ID, Method: r.Method, Path: r.Path, Tags: []string{r.Tag},
		Summary: r.Summary, Description: description,
		DefaultStatus: r.Status, Responses: r.Responses, Security: asks,
		Extensions:         extensions,
		Metadata:           map[string]any{metadataBody: requestBody, metadataErrors: r.Errors},
		Middlewares:        huma.Middlewares{a.enter(r)},
		SkipValidateBody:   true, // body.go does it in one pass, and huma would decode twice
		SkipValidateParams: true, // query.go and each Resolve do it, with better messages
		MaxBodyBytes:       int64(r.MaxBody),
	}, handle)
}

// enter lets a request in, or answers it: who is it, may it, and does it ask in
// words that the operation knows?
func (a *API) enter(r route) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		x := exchangeOf(ctx.Context())
		x.operation = r.ID
		request, _ := humago.Unwrap(ctx)
		if r.Role != "" {
			principal, err := a.authenticate(ctx.Context(), request.Header)
			if err == nil {
				err = authorize(principal, r.Role)
			}
			if err != nil {
				_ = huma.WriteErr(a.huma, ctx, http.StatusUnauthorized, "", err)
				return
			}
			x.principal = principal
		}
		if errs := checkQuery(ctx); errs != nil {
			_ = huma.WriteErr(a.huma, ctx, http.StatusUnprocessableEntity, invalidRequest, errs...)
			return
		}
		bounded, cancel := context.WithTimeout(ctx.Context(), cmp.Or(r.Timeout, operationTimeout))
		defer cancel()
		next(huma.WithContext(ctx, bounded))
	}
}
