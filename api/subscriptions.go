package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const tagSubscriptions = "subscriptions"

func (a *API) subscriptionRoutes() {
	const path = "/v1/subscriptions/{id}"
	register(a, route{
		ID: "createSubscription", Method: http.MethodPost, Path: "/v1/subscriptions", Tag: tagSubscriptions,
		Summary: "Subscribe a URL to events",
		Description: "Each event of the topics, from now on, is sent as a signed webhook whose body is the event, at least once and in no " +
			"certain order: `webhook-id` tells repeats. A tenant may have 100.",
		Role: minoots.RoleTenantAdmin, Status: http.StatusCreated, Errors: []int{http.StatusConflict},
		Example: `{"name": "audit", "url": "https://example.com/events", "topics": ["timer.*", "action.dead_lettered"]}`,
	}, a.createSubscription)
	register(a, route{
		ID: "listSubscriptions", Method: http.MethodGet, Path: "/v1/subscriptions", Tag: tagSubscriptions,
		Summary: "List subscriptions", Description: "By age.", Role: minoots.RoleTimerRead,
	}, a.listSubscriptions)
	register(a, route{
		ID: "getSubscription", Method: http.MethodGet, Path: path, Tag: tagSubscriptions,
		Summary: "Get a subscription", Description: "Without the values of its headers.",
		Role: minoots.RoleTimerRead, Errors: []int{http.StatusNotFound},
	}, a.getSubscription)
	register(a, route{
		ID: "updateSubscription", Method: http.MethodPatch, Path: path, Tag: tagSubscriptions,
		Summary: "Change a subscription",
		Description: "A merge patch (RFC 7396): what it names is replaced, null takes away, headers are merged. What waits is sent as " +
			"it says then, at once.",
		Role: minoots.RoleTenantAdmin, Errors: []int{http.StatusNotFound},
		Example: `{"url": "https://example.com/events/v2", "headers": {"X-Old": null}}`,
	}, a.updateSubscription)
	register(a, route{
		ID: "deleteSubscription", Method: http.MethodDelete, Path: path, Tag: tagSubscriptions,
		Summary: "Delete a subscription", Description: "With what waits to be sent. An attempt under way ends.",
		Role: minoots.RoleTenantAdmin, Errors: []int{http.StatusNotFound},
	}, a.deleteSubscription)
	register(a, route{
		ID: "pauseSubscription", Method: http.MethodPost, Path: path + "/pause", Tag: tagSubscriptions,
		Summary: "Pause a subscription", Description: "What happens meanwhile, and what waits, is kept for as long as the history is. To pause twice changes nothing.",
		Role: minoots.RoleTenantAdmin, Errors: []int{http.StatusNotFound},
	}, a.pauseSubscription)
	register(a, route{
		ID: "resumeSubscription", Method: http.MethodPost, Path: path + "/resume", Tag: tagSubscriptions,
		Summary:     "Have a subscription go on",
		Description: "What has waited is sent, the oldest first, or with `skip` dropped. One that is active stays as it is.",
		Role:        minoots.RoleTenantAdmin, Errors: []int{http.StatusNotFound}, Example: `{"skip": true}`,
	}, a.resumeSubscription)
	register(a, route{
		ID: "testSubscription", Method: http.MethodPost, Path: path + "/test", Tag: tagSubscriptions,
		Summary: "Send a test event",
		Description: "Sends an event of the type `subscription.test` at once, also while the subscription is paused, and answers how that " +
			"went. It is tried once, and stands in no log.",
		Role: minoots.RoleTenantAdmin, Errors: []int{http.StatusNotFound},
	}, a.testSubscription)
	register(a, route{
		ID: "listSubscriptionDeliveries", Method: http.MethodGet, Path: path + "/deliveries", Tag: tagSubscriptions,
		Summary: "List a subscription's deliveries", Description: "The newest first, each with its last attempt.",
		Role: minoots.RoleTimerRead, Errors: []int{http.StatusNotFound},
	}, a.listDeliveries)
	register(a, route{
		ID: "redeliver", Method: http.MethodPost, Path: path + "/deliveries/{deliveryId}/redeliver", Tag: tagSubscriptions,
		Summary:     "Send a delivery again",
		Description: "One that has ended, well or badly, under the same `webhook-id`. One that has not ended is a conflict.",
		Role:        minoots.RoleTenantAdmin, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.redeliver)
}

type subscriptionInput struct {
	ID minoots.ID `path:"id" format:"uuid" doc:"The subscription's id."`
}

type subscriptionOutput struct {
	Body minoots.Subscription
}

type createSubscriptionInput struct {
	Request body[minoots.SubscriptionSpec]
}

type createSubscriptionOutput struct {
	Location string `header:"Location" doc:"The subscription's path."`
	Body     minoots.Subscription
}

func (a *API) createSubscription(ctx context.Context, in *createSubscriptionInput) (*createSubscriptionOutput, error) {
	s := minoots.Subscription{ID: minoots.NewID(), TenantID: principalOf(ctx).TenantID}
	if err := a.define(&s, &in.Request.Value); err != nil {
		return nil, err
	}
	made, err := a.db.SubscriptionCreate(ctx, s)
	if err != nil {
		return nil, err
	}
	a.subscribed(true)
	return &createSubscriptionOutput{Location: "/v1/subscriptions/" + made.ID.String(), Body: made}, nil
}

// define takes what a caller says over, if it validates.
func (a *API) define(s *minoots.Subscription, spec *minoots.SubscriptionSpec) error {
	if err := spec.Validate(a.checks); err != nil {
		return err
	}
	s.Name, s.URL, s.Topics, s.TimerID, s.Headers = spec.Name, spec.URL, spec.Topics, spec.TimerID, spec.Headers
	s.RetryPolicy = spec.RetryPolicy.Or(minoots.DefaultRetryPolicy)
	return nil
}

type listSubscriptionsInput struct {
	Paging
	after minoots.ID
}

// Resolve implements huma.Resolver.
func (in *listSubscriptionsInput) Resolve(huma.Context) []error {
	place, bad := in.place(cursorSubscriptions, isID)
	copy(in.after[:], place)
	return bad
}

func isID(place []byte) bool { return len(place) == len(minoots.ID{}) }

type listSubscriptionsOutput struct {
	Body list[minoots.Subscription]
}

func (a *API) listSubscriptions(ctx context.Context, in *listSubscriptionsInput) (*listSubscriptionsOutput, error) {
	all, err := a.db.SubscriptionPage(ctx, principalOf(ctx).TenantID, in.after, in.Limit+1)
	return &listSubscriptionsOutput{Body: pageOf(all, in.Limit, func(s minoots.Subscription) string {
		return encodeCursor(cursorSubscriptions, s.ID[:])
	})}, err
}

func (a *API) getSubscription(ctx context.Context, in *subscriptionInput) (*subscriptionOutput, error) {
	s, err := a.db.SubscriptionGet(ctx, principalOf(ctx).TenantID, in.ID)
	return &subscriptionOutput{Body: s}, err
}

// subscriptionPatch is what may be changed; see timerPatch.
type subscriptionPatch struct {
	Name        json.RawMessage `json:"name,omitempty" doc:"A string."`
	URL         json.RawMessage `json:"url,omitempty" doc:"As at the creation."`
	Topics      json.RawMessage `json:"topics,omitempty" doc:"Replaces the list."`
	TimerID     json.RawMessage `json:"timerId,omitempty" doc:"Only events of this timer."`
	Headers     json.RawMessage `json:"headers,omitempty" doc:"Headers to set; null removes one."`
	RetryPolicy json.RawMessage `json:"retryPolicy,omitempty" doc:"Its parts to set."`
}

type updateSubscriptionInput struct {
	ID    minoots.ID `path:"id" format:"uuid" doc:"The subscription's id."`
	Patch body[subscriptionPatch]
}

func (a *API) updateSubscription(ctx context.Context, in *updateSubscriptionInput) (*subscriptionOutput, error) {
	patch, err := json.Marshal(in.Patch.Value)
	if err != nil {
		return nil, err
	}
	s, err := a.db.SubscriptionUpdate(ctx, principalOf(ctx).TenantID, in.ID, func(s *minoots.Subscription) error {
		text, err := json.Marshal(minoots.SubscriptionSpec{
			Name: s.Name, URL: s.URL, Topics: s.Topics, TimerID: s.TimerID, Headers: s.Headers, RetryPolicy: &s.RetryPolicy,
		})
		if err != nil {
			return err
		}
		if text, err = mergePatch(text, patch); err != nil {
			return err
		}
		var spec minoots.SubscriptionSpec
		if err := decoderOf[minoots.SubscriptionSpec]().Decode(text, &spec); err != nil {
			return guardError(err)
		}
		return a.define(s, &spec)
	})
	return &subscriptionOutput{Body: s}, err
}

func (a *API) deleteSubscription(ctx context.Context, in *subscriptionInput) (*struct{}, error) {
	return nil, a.db.SubscriptionDelete(ctx, principalOf(ctx).TenantID, in.ID)
}

func (a *API) pauseSubscription(ctx context.Context, in *subscriptionInput) (*subscriptionOutput, error) {
	s, err := a.db.SubscriptionPause(ctx, principalOf(ctx).TenantID, in.ID)
	return &subscriptionOutput{Body: s}, err
}

type resumeSubscriptionRequest struct {
	Skip bool `json:"skip,omitempty" doc:"Drop what has waited."`
}

type resumeSubscriptionInput struct {
	ID      minoots.ID `path:"id" format:"uuid" doc:"The subscription's id."`
	Request optionalBody[resumeSubscriptionRequest]
}

func (a *API) resumeSubscription(ctx context.Context, in *resumeSubscriptionInput) (*subscriptionOutput, error) {
	s, err := a.db.SubscriptionResume(ctx, principalOf(ctx).TenantID, in.ID, in.Request.Value.Skip)
	return &subscriptionOutput{Body: s}, err
}

// subscriptionTest is how a test went.
type subscriptionTest struct {
	Delivered  bool    `json:"delivered"`
	WebhookID  string  `json:"webhookId"`
	HTTPStatus int     `json:"httpStatus,omitempty" doc:"Absent if no answer came."`
	ErrorClass string  `json:"errorClass,omitempty" example:"refused"`
	Error      string  `json:"error,omitempty"`
	Response   string  `json:"response,omitempty" doc:"The first 4 KiB of the answer."`
	DurationMs float64 `json:"durationMs"`
}

type subscriptionTestOutput struct {
	Body subscriptionTest
}

func (a *API) testSubscription(ctx context.Context, in *subscriptionInput) (*subscriptionTestOutput, error) {
	s, err := a.db.SubscriptionGet(ctx, principalOf(ctx).TenantID, in.ID)
	if err != nil {
		return nil, err
	}
	if a.deliver == nil {
		return nil, minoots.Errorf(minoots.CodeUnavailable, "this replica sends no webhooks")
	}
	d, err := s.TestDelivery(minoots.NewID(), minoots.InstantOf(a.db.Clock().Now()))
	if err != nil {
		return nil, err
	}
	out := a.deliver(ctx, d, 1)
	return &subscriptionTestOutput{Body: subscriptionTest{
		Delivered: out.Success, WebhookID: d.WebhookID(), HTTPStatus: out.HTTPStatus, ErrorClass: out.ErrorClass, Error: out.Error,
		Response: string(out.Response), DurationMs: float64(out.FinishedAt.Sub(out.StartedAt).Microseconds()) / 1000,
	}}, nil
}

type listDeliveriesInput struct {
	ID minoots.ID `path:"id" format:"uuid" doc:"The subscription's id."`
	Paging
	Status string `query:"status" enum:"waiting,paused,delivered,failed,dropped" doc:"Where they stand."`
	before minoots.ID
}

// Resolve implements huma.Resolver.
func (in *listDeliveriesInput) Resolve(huma.Context) []error {
	place, bad := in.placeAmong(cursorDeliveries, markOf(in.ID, in.Status), isID)
	copy(in.before[:], place)
	if in.Status != "" && !slices.Contains(minoots.DeliveryStatuses, minoots.DeliveryStatus(in.Status)) {
		bad = append(bad, badParam("query", "status", "must be one of %v", minoots.DeliveryStatuses))
	}
	return bad
}

type listDeliveriesOutput struct {
	Body list[minoots.SubscriptionDelivery]
}

func (a *API) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*listDeliveriesOutput, error) {
	all, err := a.db.DeliveryPage(ctx, principalOf(ctx).TenantID, in.ID, db.DeliveryFilter{
		Status: minoots.DeliveryStatus(in.Status), Before: in.before, Limit: in.Limit + 1,
	})
	return &listDeliveriesOutput{Body: pageOf(all, in.Limit, func(d minoots.SubscriptionDelivery) string {
		return encodeMarked(cursorDeliveries, markOf(in.ID, in.Status), d.ID[:])
	})}, err
}

type redeliverInput struct {
	ID         minoots.ID `path:"id" format:"uuid" doc:"The subscription's id."`
	DeliveryID minoots.ID `path:"deliveryId" format:"uuid" doc:"The delivery's id."`
}

type redeliverOutput struct {
	Body minoots.SubscriptionDelivery
}

func (a *API) redeliver(ctx context.Context, in *redeliverInput) (*redeliverOutput, error) {
	d, err := a.db.DeliveryAgain(ctx, principalOf(ctx).TenantID, in.ID, in.DeliveryID)
	return &redeliverOutput{Body: d}, err
}
