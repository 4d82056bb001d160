//! `hongyan templates`.

use serde_json::json;
use service::templates::TemplateView;

use super::service_beside;
use crate::cli::{self, Global};
use crate::locale::{lang, say};
use crate::output;

pub(crate) async fn run(global: &Global, command: cli::Templates) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    let templates = match command {
        cli::Templates::Sync { app_id } => service.sync_templates(&*service.app(&app_id).await?).await?,
        cli::Templates::List { app_id } => service.templates(&*service.app(&app_id).await?).await?,
    };
    if global.json {
        output::json(&templates.iter().map(value).collect());
        return Ok(());
    }
    if templates.is_empty() {
        output::remark(say(
            "还没有模板。请在微信后台“订阅消息”里选用模板，然后运行 hongyan templates sync。",
            "No templates yet. Choose some in WeChat's console (订阅消息), then run `hongyan templates sync`.",
        ));
        return Ok(());
    }
    for template in &templates {
        let gone =
            if template.gone { say("（微信后台已不存在）", " (gone from WeChat)") } else { "" };
        output::line(&format!("{}  {}  {}{gone}", template.id, template.title, template.kind.as_str()));
        for field in &template.fields {
            output::line(&format!("    {:<20} {} ({})", field.key, field.label, field.kind.name(lang())));
        }
    }
    Ok(())
}

fn value(template: &TemplateView) -> serde_json::Value {
    json!({ "id": template.id, "title": template.title, "type": template.kind.as_str(), "gone": template.gone,
        "fields": template.fields })
}
