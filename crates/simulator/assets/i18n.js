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
  service_chat: "联系客服", chat_placeholder: "写给客服的话", send: "发送",
  chat_waiting: "等待服务器回复…", chat_transferred: "已转给客服", chat_swallowed: "服务器只回答了 success，客服看不到",
  chat_direct: "未配置消息推送，直接进入客服", chat_failed: "该小程序客服暂时无法提供服务",
  chat_no_answer: "没有收到可用的应答", chat_wrong_format: "应答既不是 success，也不是约定的数据格式", chat_not_encrypted: "安全模式下应答必须加密",
  chat_encrypted: "明文模式下应答不能加密", chat_bad_signature: "应答的 MsgSignature 不符", chat_not_decrypted: "应答的密文无法解开",
  chat_wrong_appid: "应答密文里的 AppID 不符", chat_wrong_parties: "应答的 ToUserName 或 FromUserName 不符", chat_other_reply: "应答不是 transfer_customer_service",
  login_title: "登录", login_hint: "得到的 code 由小程序的服务器拿去调用 jscode2session，只能用一次，5 分钟内有效。",
  account: "授权与账号", revoke: "取消授权", revoke_hint: "推送 user_authorization_revoke，括号里是 RevokeInfo。", revoked: "已取消授权",
  allowed_nickname: "昵称和头像", allowed_phone: "手机号", allowed_location: "位置信息", allowed_all: "全部",
  close_account: "注销账号", close_account_hint: "推送 user_authorization_cancellation，这位用户不再是小程序的用户。",
  account_hint: "小程序的服务器收到后应删除相应的用户数据。",
  event_title: "推送其他事件", event_name: "事件名", event_fields: '字段 JSON，例如 {"Level": 1}', event_push: "推送", event_pushed: "已推送",
  faults: "故障", faults_hint: "让微信的接口和推送按规则出错。前面的规则优先；增删规则会重新计数。",
  fault_what: "出什么错", fault_often: "多久一次", fault_add: "添加规则", fault_none: "没有规则，一切正常。", fault_clear: "全部清除",
  fault_remove: "删除规则：{what}", fault_struck: "触发 {fired} / {seen} 次", fault_log: "最近的故障",
  fault_count: "服务器无法知道结果的发送：{all} 次，其中已生效 {sent} 次", fault_unsure: "对方不知道结果",
  fault_effect: "已生效", fault_no_effect: "未生效", fault_hung_up: "对方等不及断开",
  on_send: "发送", on_tokens: "获取令牌", on_token: "token", on_stable_token: "stable_token", on_push: "所有推送", on_receipt: "送达回执", only_me: "只对当前用户",
  often_always: "每次", often_once: "只有下一次", often_three: "接下来 3 次", often_third: "每 3 次一次", often_tenth: "10% 的概率", often_half: "50% 的概率",
  often_probability: "{n}% 的概率", often_every: "每 {n} 次一次", often_next: "接下来 {n} 次", often_range: "第 {from} 到 {to} 次",
  fault_busy: "系统繁忙 -1，未受理", fault_busy_sent: "系统繁忙 -1，其实已受理", fault_cut_before: "读取请求前断开", fault_cut_sent: "读取后断开，已受理",
  fault_cut_unsent: "读取后断开，未受理", fault_half: "只回一半就断开，已受理", fault_http_503: "HTTP 503，未受理", fault_html: "回答 HTML 页面",
  fault_hang: "一直不回答，已处理", fault_slow: "慢 3 秒", fault_revoke: "令牌全部失效 (40001)", fault_no_msgid: "没有 msgid", fault_no_errcode: "成功时没有 errcode",
  fault_secret: "密钥错误 40125", fault_ip: "IP 不在白名单 40164", fault_cut: "断开，令牌已生成",
  fault_twice: "重复推送", fault_late: "晚 5 秒", fault_reorder: "顺序颠倒", fault_lost: "丢失", fault_retry: "成功后仍重试",
  fault_overtake: "回执先于应答到达", fault_other_msgid: "msgid 不符", fault_undelivered: "未送达",
  no_templates: "这个小程序还没有模板。",
  applies: "申请", popup_once: "发送一次以下消息", popup_long: "发送以下消息", popup_intro: "申请获取以下消息权限",
  always: "总是保持以上选择，不再询问", cancel: "取消", allow: "允许", sample: "示例", see_sample: "查看示例：{title}",
  notices_empty: "暂无服务通知", notices_empty_hint: "小程序发来的订阅消息会显示在这里。",
  enter: "进入小程序查看", card_menu: "{title}：更多", refuse: "拒收该消息", refuse_hint: "拒收后，将不再接收「{title}」。已有的次数会清零。",
  refused_toast: "已拒收", arrived: "服务通知",
  page_title: "小程序页面", page_path: "页面路径", page_query: "参数", none: "无",
  own_title: "自己的小程序页面",
  own_hint: "在手机里打开你的 H5 页面（如 uni-app 的 H5 构建），由模拟微信回答 wx.requestSubscribeMessage。",
  own_url: "H5 页面地址",
  own_open: "打开",
  own_clear: "用内置页面",
  own_waiting: "正在打开…",
  own_connected: "已连接模拟微信",
  own_silent: "页面没有连接模拟微信。在它的 <head> 里加入：",
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
  ev_user_authorization_revoke: "取消授权", ev_user_authorization_cancellation: "账号注销",
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
  service_chat: "Customer service", chat_placeholder: "A message to customer service", send: "Send",
  chat_waiting: "Waiting for the server…", chat_transferred: "Passed on to customer service", chat_swallowed: "The server only answered success: customer service never sees it",
  chat_direct: "No message push: goes straight to customer service", chat_failed: "Customer service is unavailable (该小程序客服暂时无法提供服务)",
  chat_no_answer: "No usable answer came.", chat_wrong_format: "The answer is neither success nor in the configured format.", chat_not_encrypted: "In safe mode the answer must be encrypted.",
  chat_encrypted: "In plaintext mode the answer must not be encrypted.", chat_bad_signature: "The answer's MsgSignature is wrong.", chat_not_decrypted: "The answer cannot be decrypted.",
  chat_wrong_appid: "The answer was encrypted for another AppID.", chat_wrong_parties: "The answer's ToUserName or FromUserName is wrong.", chat_other_reply: "The answer is not transfer_customer_service.",
  login_title: "Login", login_hint: "The app's server exchanges the code by jscode2session, once, within 5 minutes.",
  account: "Authorisation and account", revoke: "Revoke authorisation", revoke_hint: "Pushes user_authorization_revoke; RevokeInfo in brackets.", revoked: "Revoked",
  allowed_nickname: "Nickname and picture", allowed_phone: "Phone number", allowed_location: "Location", allowed_all: "All",
  close_account: "Close the account", close_account_hint: "Pushes user_authorization_cancellation; this person is no user of the mini program any more.",
  account_hint: "The app's server should then delete the user's data.",
  event_title: "Push another event", event_name: "Event", event_fields: 'Fields as JSON: {"Level": 1}', event_push: "Push", event_pushed: "Pushed",
  faults: "Faults", faults_hint: "Lets WeChat's calls and pushes fail by rules. Earlier rules go first; a change counts anew.",
  fault_what: "What goes wrong", fault_often: "How often", fault_add: "Add rule", fault_none: "No rules: all is well.", fault_clear: "Clear all",
  fault_remove: "Remove rule: {what}", fault_struck: "struck {fired} of {seen}", fault_log: "Latest faults",
  fault_count: "Sends whose outcome the server cannot know: {all}, of which took effect: {sent}", fault_unsure: "the other side cannot know",
  fault_effect: "took effect", fault_no_effect: "no effect", fault_hung_up: "the other side gave up waiting",
  on_send: "Send", on_tokens: "Token calls", on_token: "token", on_stable_token: "stable_token", on_push: "All pushes", on_receipt: "Receipts", only_me: "Only for this user",
  often_always: "each time", often_once: "only the next", often_three: "the next 3", often_third: "every 3rd", often_tenth: "10% chance", often_half: "50% chance",
  often_probability: "{n}% chance", often_every: "every {n}th", often_next: "the next {n}", often_range: "{from}. to {to}.",
  fault_busy: "System busy -1, not accepted", fault_busy_sent: "System busy -1, yet accepted", fault_cut_before: "Cut before the request is read", fault_cut_sent: "Cut after it is read, accepted",
  fault_cut_unsent: "Cut after it is read, not accepted", fault_half: "Half an answer, accepted", fault_http_503: "HTTP 503, not accepted", fault_html: "An HTML page as answer",
  fault_hang: "Never answers, yet done", fault_slow: "3 seconds slow", fault_revoke: "All tokens invalid (40001)", fault_no_msgid: "No msgid", fault_no_errcode: "No errcode on success",
  fault_secret: "Wrong secret 40125", fault_ip: "IP not allowed 40164", fault_cut: "Cut, token made",
  fault_twice: "Pushed twice", fault_late: "5 seconds late", fault_reorder: "Out of order", fault_lost: "Lost", fault_retry: "Retried after success",
  fault_overtake: "Receipt before the answer", fault_other_msgid: "Another msgid", fault_undelivered: "Not delivered",
  no_templates: "This mini program has no templates yet.",
  applies: "requests", popup_once: "Send the following message once", popup_long: "Send the following messages", popup_intro: "Asks to send you these messages",
  always: "Always keep these choices and don't ask again", cancel: "Cancel", allow: "Allow", sample: "Sample", see_sample: "Sample of {title}",
  notices_empty: "No service notifications", notices_empty_hint: "Messages from the mini program will appear here.",
  enter: "View in mini program", card_menu: "{title}: more", refuse: "Refuse this message", refuse_hint: "You will no longer receive '{title}'. Grants you gave are dropped.",
  refused_toast: "Refused", arrived: "Service notifications",
  page_title: "Mini program page", page_path: "Page path", page_query: "Query", none: "none",
  own_title: "Your own mini program",
  own_hint: "Opens your H5 page (such as the H5 build of a uni-app project) in the phone; the simulated WeChat answers wx.requestSubscribeMessage.",
  own_url: "Address of the H5 page",
  own_open: "Open",
  own_clear: "Built-in page",
  own_waiting: "Opening…",
  own_connected: "Connected to the simulated WeChat",
  own_silent: "The page is not connected. Put this into its <head>:",
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
  ev_user_authorization_revoke: "Authorisation revoked", ev_user_authorization_cancellation: "Account closed",
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
