//! The code that asks for a template's permission, ready to paste into a mini program: filled in with the template, the app and
//! the address of this service. Shown by the console and the API.

use serde::Serialize;

use crate::problem::{Kind, Problem};
use crate::{App, Service};

/// Where the service is, in a snippet of one that does not know its own address.
const SOMEWHERE: &str = "https://push.example.com";

/// Code for one template.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Snippets {
    /// WeChat's id of the template.
    pub template_id: String,
    /// Its title.
    pub title: String,
    /// A page of a native mini program: WXML and JavaScript.
    pub native: String,
    /// A page of a uni-app project (Vue 3).
    pub uni_app: String,
    /// Without the kit: WeChat's call alone.
    pub bare: String,
    /// For the team's own back end: a session for a user whom it has logged in.
    pub session: String,
}

impl Service {
    /// The code for a template, named by its id or its alias.
    ///
    /// # Errors
    /// `template_not_found`.
    pub async fn snippets(&self, app: &App, template_id: &str) -> Result<Snippets, Problem> {
        let id = app.settings.template_id(template_id.to_owned());
        let template = self.template(app, &id).await?.ok_or_else(|| {
            Problem::new(
                Kind::NotFound,
                "template_not_found",
                format!("没有模板 {template_id}，请先同步模板。"),
                format!("There is no template {template_id}; sync the templates first."),
            )
        })?;
        let url = self.public_url().unwrap_or(SOMEWHERE).trim_end_matches('/');
        // In a comment or a text, a title must not end it.
        let title: String = template
            .title
            .chars()
            .filter(|c| !matches!(c, '*' | '/' | '<' | '>' | '{' | '}' | '\n'))
            .collect();
        let fill = |text: &str| {
            text.replace("$URL", url)
                .replace("$APPID", &app.app_id)
                .replace("$ID", &id)
                .replace("$TITLE", &title)
        };
        Ok(Snippets {
            native: fill(NATIVE),
            uni_app: fill(UNI_APP),
            bare: fill(BARE),
            session: fill(SESSION),
            template_id: id,
            title: template.title.clone(),
        })
    }
}

const NATIVE: &str = r#"<!-- page.wxml -->
<button bindtap="onSubscribe">接收$TITLE</button>

// page.js（utils/hongyan.js 在控制台“模板 → 小程序代码”下载）
const { createHongyan } = require("../../utils/hongyan.js");
const hongyan = createHongyan({
  baseUrl: "$URL",
  session: () => getApp().hongyanSession(), // 由你的后端签发
});

Page({
  onShow() {
    hongyan.ready(["$ID"]);
  },
  onSubscribe() {
    // 必须在点击中直接调用
    hongyan.subscribe("$ID", {
      success: ({ accepted }) => wx.showToast({ title: accepted.length ? "已开启" : "未开启", icon: "none" }),
      fail: (error) => (error.settings ? hongyan.guide() : wx.showToast({ title: error.meaning, icon: "none" })),
    });
  },
});
"#;

const UNI_APP: &str = r#"<script setup>
// npm install hongyan-subscribe
import { createHongyan } from "hongyan-subscribe";
import { onShow } from "@dcloudio/uni-app";

const hongyan = createHongyan({
  baseUrl: "$URL",
  session: () => getApp().globalData.hongyanSession(), // 由你的后端签发
});
onShow(() => hongyan.ready(["$ID"]));

// 必须在点击中直接调用
function subscribe() {
  hongyan.subscribe("$ID", {
    success: ({ accepted }) => uni.showToast({ title: accepted.length ? "已开启" : "未开启", icon: "none" }),
    fail: (error) => (error.settings ? hongyan.guide() : uni.showToast({ title: error.meaning, icon: "none" })),
  });
}
</script>

<template>
  <button @tap="subscribe">接收$TITLE</button>
</template>
"#;

const BARE: &str = r#"// bindtap 处理函数中直接调用；结果由微信推送给鸿雁，无需上报
wx.requestSubscribeMessage({
  tmplIds: ["$ID"], // $TITLE
  success: (result) => console.log(result["$ID"]), // accept | reject | ban | filter
  fail: ({ errMsg, errCode }) => console.warn(errCode, errMsg),
});
"#;

const SESSION: &str = r#"# 你的后端：用户登录后，用他的 openid 换取会话，交给小程序（2 小时有效）
curl -X POST $URL/api/v1/apps/$APPID/mp-sessions \
  -H "Authorization: Bearer $HONGYAN_KEY" -H "Content-Type: application/json" \
  -d '{"openid": "用户的 openid"}'
"#;
