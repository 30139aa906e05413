-- Outgoing webhooks: who wants which events, and one row a delivery.

create table pipeline.webhook_subscriptions (
    id           uuid          not null constraint pk_webhook_subscriptions primary key,
    url          varchar(2048) not null,
    events       text[]        not null, -- exchanges; empty for all
    project_id   uuid,                   -- null for all
    secret       varchar(100),           -- whsec_...; null once it is removed. No view shows it
    state        varchar(20)   not null, -- active, disabled, removed
    state_reason text,
    lease_id     uuid,                   -- of the worker's turn that delivers to it
    lease_until  timestamptz   not null, -- past where nobody does
    created_at   timestamptz   not null,
    updated_at   timestamptz   not null
);

create table pipeline.webhook_deliveries (
    id              bigint      generated always as identity constraint pk_webhook_deliveries primary key,
    subscription_id uuid        not null constraint fk_webhook_deliveries_subscription
        references pipeline.webhook_subscriptions (id) on delete cascade,
    message_id      uuid        not null, -- of the event; also the webhook-id, through every attempt and replay
    event           varchar(60) not null,
    project_id      uuid,
    body            bytea       not null,
    state           varchar(20) not null, -- pending, delivered, dead
    attempts        integer     not null, -- begun since the last replay
    replays         integer     not null,
    due_at          timestamptz,          -- null once it has ended
    last_status     integer,              -- the receiver's, of the last attempt that had an answer
    last_error      text,
    created_at      timestamptz not null,
    attempted_at    timestamptz,
    ended_at        timestamptz,
    constraint uq_webhook_deliveries_message unique (subscription_id, message_id)
);

create index ix_webhook_deliveries_pending on pipeline.webhook_deliveries (subscription_id, due_at) where state = 'pending';
create index ix_webhook_deliveries_ended on pipeline.webhook_deliveries (ended_at) where ended_at is not null;

-- What the queue "webhook-events" is bound to, so that a binding that nobody wants any more can be taken back.
create table pipeline.webhook_bindings (
    event       varchar(60) not null,
    routing_key varchar(60) not null,
    constraint pk_webhook_bindings primary key (event, routing_key)
);

-- A URL's query may be a credential, as chat services have it.
create view status.webhook_subscriptions as
select s.id, regexp_replace(s.url, '\?.*$', '?…') as url, s.events, s.project_id, s.state, s.state_reason,
       s.created_at, s.updated_at, coalesce(d.pending, 0) as pending, coalesce(d.dead, 0) as dead, d.delivered_at
from pipeline.webhook_subscriptions s
left join lateral (
    select count(*) filter (where x.state = 'pending') as pending, count(*) filter (where x.state = 'dead') as dead,
           max(x.ended_at) filter (where x.state = 'delivered') as delivered_at
    from pipeline.webhook_deliveries x where x.subscription_id = s.id
) d on true;

create view status.webhook_deliveries as
select d.id, d.subscription_id, d.message_id, d.event, d.project_id, d.state, d.attempts, d.replays, d.due_at,
       d.last_status, d.last_error, convert_from(d.body, 'UTF8') as body, d.created_at, d.attempted_at, d.ended_at
from pipeline.webhook_deliveries d;
