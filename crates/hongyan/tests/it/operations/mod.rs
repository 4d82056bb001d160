//! The operator's day: campaigns that recur or come late, budgets, templates that change, whom to ask again, webhooks.

mod budgets;
mod drift;
mod schedules;
mod webhooks;

use serde_json::{Value, json};

use crate::world::World;

/// Changes settings of the app.
pub(crate) async fn settings(world: &World, settings: Value) {
    let reply = world.api("PATCH", "", &json!({ "settings": settings })).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}
