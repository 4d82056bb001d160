// The page's words in Chinese and English. WeChat's own words stay WeChat's.

const zh = {
  title: "微信模拟器",
  ribbon: "模拟环境，不会发给真实用户",
  console: "控制台", close: "关闭", back: "返回", more: "更多", home: "回到小程序首页",
  tab_mini: "小程序", tab_notices: "服务通知", tab_settings: "设置",
  views: "手机页面",
  app: "当前小程序", user: "当前用户", nickname: "昵称", create_user: "创建用户", new_user: "新用户昵称",
  no_app: "还没有小程序", no_app_hint: "用 PUT /_sim/apps/{appid} 添加一个，这里会自动出现。",
  no_user: "还没有用户", no_user_hint: "手机需要一位用户才能使用。", default_nick: "业主",
  choose: "选择要接收的通知", one_time: "一次性订阅", long_term: "长期订阅",
  subscribe: "订阅通知",
  subscribe_hint: "每点一次“允许”，小程序可以给你发送一条对应的消息。这个按钮在点击时调用 wx.requestSubscribeMessage。",
  result: "调用结果", no_result: "还没有调用",
  tap_title: "试试点击态规则",
  tap_hint: "wx.requestSubscribeMessage 只能在用户点击后调用。下面三个按钮用不同方式调用它。",
  tap_direct: "直接调用", tap_await: "await 之后调用", tap_timeout: "setTimeout 之后调用",
  service_chat: "联系客服", chat_placeholder: "写给客服的话", send: "发送", chat_sent: "已推送给小程序的服务器",
  no_templates: "这个小程序还没有模板。",
  applies: "申请", popup_once: "发送一次以下消息", popup_long: "发送以下消息", popup_intro: "申请获取以下消息权限",
  always: "总是保持以上选择，不再询问", cancel: "取消", allow: "允许", sample: "示例", see_sample: "查看示例：{title}",
  notices_empty: "暂无服务通知", notices_empty_hint: "小程序发来的订阅消息会显示在这里。",
  enter: "进入小程序查看", card_menu: "{title}：更多", refuse: "拒收该消息", refuse_hint: "拒收后，将不再接收「{title}」。已有的次数会清零。",
  refused_toast: "已拒收", arrived: "服务通知",
  page_title: "小程序页面", page_path: "页面路径", page_query: "参数", none: "无",
  page_hint: "点击消息卡片后，真实手机会打开小程序的这个页面。",
  main_switch: "接收订阅消息", main_hint: "关闭后，小程序不能向你发送订阅消息，也不能请求订阅。",
  receive: "接收", refuse_word: "拒收", each: "消息", settings_title: "订阅消息",
  kept_accept: "总是保持：允许", kept_reject: "总是保持：不允许", not_kept: "每次询问",
  settings_hint: "改为拒收会清空次数，并推送 subscribe_msg_change_event；改回接收不推送，需要重新订阅才有次数。",
  inside: "微信内部", inside_hint: "真实手机上看不到这些。", grants: "剩余次数", status: "状态",
  status_accept: "允许", status_reject: "不允许", status_none: "无记录", status_refused: "已拒收", unlimited: "不限",
  callbacks: "最近推送（微信 → 服务器）", sends: "最近发送（服务器 → 微信）", empty: "暂无",
  attempt: "第 {n} 次", no_answer: "无应答", verify: "服务器地址验证", verify_ok: "验证通过", no_callback: "未配置消息推送",
  push_url: "消息推送 URL", mode: "方式", mode_plain: "明文", mode_compat: "兼容", mode_safe: "安全模式",
  lost: "连接中断，正在重连…", failed: "操作失败：{error}", confirm: "确定", now: "刚刚", yesterday: "昨天",
  ev_subscribe_msg_popup_event: "订阅弹窗", ev_subscribe_msg_change_event: "订阅变更",
  ev_subscribe_msg_sent_event: "送达回执", ev_text: "客服消息",
};

const en = {
  title: "WeChat simulator",
  ribbon: "Simulated: nothing reaches real people",
  console: "Console", close: "Close", back: "Back", more: "More", home: "Mini program home",
  tab_mini: "Mini program", tab_notices: "Notices", tab_settings: "Settings",
  views: "Phone views",
  app: "Mini program", user: "User", nickname: "Nickname", create_user: "Create user", new_user: "Nickname of the new user",
  no_app: "No mini program yet", no_app_hint: "Add one with PUT /_sim/apps/{appid}; it appears here by itself.",
  no_user: "No user yet", no_user_hint: "The phone needs somebody to use it.", default_nick: "Resident",
  choose: "Choose notices to receive", one_time: "One-time", long_term: "Long-term",
  subscribe: "Subscribe",
  subscribe_hint: "Each 'Allow' lets the mini program send you one such message. This button calls wx.requestSubscribeMessage in its tap handler.",
  result: "Result of the call", no_result: "Not called yet",
  tap_title: "Try the tap rule",
  tap_hint: "wx.requestSubscribeMessage works only after a user's tap. These three buttons call it in different ways.",
  tap_direct: "Call directly", tap_await: "Call after await", tap_timeout: "Call after setTimeout",
  service_chat: "Customer service", chat_placeholder: "A message to customer service", send: "Send", chat_sent: "Pushed to the app's server",
  no_templates: "This mini program has no templates yet.",
  applies: "requests", popup_once: "Send the following message once", popup_long: "Send the following messages", popup_intro: "Asks to send you these messages",
  always: "Always keep these choices and don't ask again", cancel: "Cancel", allow: "Allow", sample: "Sample", see_sample: "Sample of {title}",
  notices_empty: "No service notifications", notices_empty_hint: "Messages from the mini program will appear here.",
  enter: "View in mini program", card_menu: "{title}: more", refuse: "Refuse this message", refuse_hint: "You will no longer receive '{title}'. Grants you gave are dropped.",
  refused_toast: "Refused", arrived: "Service notifications",
  page_title: "Mini program page", page_path: "Page path", page_query: "Query", none: "none",
  page_hint: "Tapping the card on a real phone opens this page of the mini program.",
  main_switch: "Receive subscribed messages", main_hint: "When off, the mini program can neither send nor ask.",
  receive: "Receive", refuse_word: "Refuse", each: "Messages", settings_title: "Subscribed messages",
  kept_accept: "Always: allow", kept_reject: "Always: don't allow", not_kept: "Ask each time",
  settings_hint: "Refusing drops all grants and pushes subscribe_msg_change_event. Receiving again pushes nothing and gives no grant: subscribe again.",
  inside: "Inside WeChat", inside_hint: "A real phone does not show this.", grants: "Grants left", status: "Status",
  status_accept: "accepted", status_reject: "rejected", status_none: "no record", status_refused: "refused", unlimited: "no limit",
  callbacks: "Latest pushes (WeChat → server)", sends: "Latest sends (server → WeChat)", empty: "none",
  attempt: "try {n}", no_answer: "no answer", verify: "Verify server address", verify_ok: "Verified", no_callback: "No push URL configured",
  push_url: "Push URL", mode: "Mode", mode_plain: "plaintext", mode_compat: "compatible", mode_safe: "safe",
  lost: "Connection lost, reconnecting…", failed: "Failed: {error}", confirm: "OK", now: "now", yesterday: "Yesterday",
  ev_subscribe_msg_popup_event: "Popup answered", ev_subscribe_msg_change_event: "Subscription changed",
  ev_subscribe_msg_sent_event: "Delivery receipt", ev_text: "Customer service",
};

const asked = new URLSearchParams(location.search).get("lang");
export const lang = (asked ?? navigator.language ?? "zh").toLowerCase().startsWith("en") ? "en" : "zh";
const words = lang === "en" ? en : zh;

export function t(key, values = {}) {
  const text = words[key] ?? zh[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The same page in the other language. */
export function otherLanguage() {
  const url = new URL(location.href);
  url.searchParams.set("lang", lang === "en" ? "zh" : "en");
  return url.href;
}

const locale = lang === "en" ? "en-GB" : "zh-CN";
const hm = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hour12: false });
const hms = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(locale, { month: "long", day: "numeric" });

export const clock = (ms) => hm.format(ms);
export const seconds = (ms) => hms.format(ms);

/** As WeChat heads its cards: 14:05, 昨天 14:05, 11月23日 14:05. */
export function when(ms) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(ms).setHours(0, 0, 0, 0)) / 86400000);
  if (days <= 0) return clock(ms);
  return `${days === 1 ? t("yesterday") : day.format(ms)} ${clock(ms)}`;
}
