//! The REST resources under /api/v1.

mod administration;
mod apps;
mod callbacks;
mod campaigns;
mod cluster;
mod insight;
mod messages;
mod mini_program;
mod quota;
mod results;
mod schedules;
mod subscribers;
mod subscriptions;
mod templates;
mod tokens;
mod uploads;
mod webhooks;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::server::Api;

/// Every documented route.
pub(crate) fn all() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(apps::list))
        .routes(routes!(apps::show, apps::put, apps::patch))
        .routes(routes!(messages::list, messages::send))
        .routes(routes!(messages::batch))
        .routes(routes!(messages::show))
        .routes(routes!(messages::cancel))
        .routes(routes!(messages::resend))
        .routes(routes!(subscribers::list, subscribers::put_all))
        .routes(routes!(subscribers::import))
        .routes(routes!(subscribers::show, subscribers::put, subscribers::erase))
        .routes(routes!(subscribers::export))
        .routes(routes!(subscribers::guests))
        .routes(routes!(subscribers::put_guest, subscribers::remove_guest))
        .routes(routes!(mini_program::session))
        .routes(routes!(mini_program::snippets))
        .routes(routes!(subscriptions::list))
        .routes(routes!(subscriptions::ledger, subscriptions::write))
        .routes(routes!(templates::list, insight::add_template))
        .routes(routes!(insight::remove_template))
        .routes(routes!(insight::library))
        .routes(routes!(insight::keywords))
        .routes(routes!(insight::doctor))
        .routes(routes!(insight::installation))
        .routes(routes!(insight::attention))
        .routes(routes!(cluster::show))
        .routes(routes!(insight::health))
        .routes(routes!(insight::statistics))
        .routes(routes!(administration::keys, administration::add_key))
        .routes(routes!(administration::revoke_key))
        .routes(routes!(administration::operators, administration::add_operator))
        .routes(routes!(administration::change_operator, administration::remove_operator))
        .routes(routes!(administration::audit))
        .routes(routes!(templates::sync))
        .routes(routes!(campaigns::list, campaigns::draft))
        .routes(routes!(campaigns::show, campaigns::redraft, campaigns::remove))
        .routes(routes!(campaigns::copy))
        .routes(routes!(campaigns::forecast))
        .routes(routes!(campaigns::dry_run))
        .routes(routes!(campaigns::test))
        .routes(routes!(campaigns::start))
        .routes(routes!(campaigns::approve))
        .routes(routes!(campaigns::withdraw))
        .routes(routes!(campaigns::pause))
        .routes(routes!(campaigns::resume))
        .routes(routes!(campaigns::cancel))
        .routes(routes!(campaigns::resend_failed))
        .routes(routes!(campaigns::progress))
        .routes(routes!(results::results))
        .routes(routes!(uploads::list, uploads::add))
        .routes(routes!(uploads::show, uploads::change, uploads::remove))
        .routes(routes!(uploads::blank))
        .routes(routes!(schedules::list, schedules::add))
        .routes(routes!(schedules::show, schedules::change, schedules::remove))
        .routes(routes!(quota::show))
        .routes(routes!(quota::clear))
        .routes(routes!(quota::ask_again))
        .routes(routes!(webhooks::list, webhooks::add))
        .routes(routes!(webhooks::change, webhooks::remove))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
        .routes(routes!(webhooks::test))
        .routes(routes!(callbacks::list))
        .routes(routes!(callbacks::show))
        .routes(routes!(callbacks::replay))
        .routes(routes!(tokens::show))
        .routes(routes!(tokens::refresh))
}
