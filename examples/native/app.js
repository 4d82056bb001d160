const { createHongyan } = require("./utils/hongyan.js");

App({
  // 有自己登录的团队：把 login: true 换成 session: () => 向自己的后端要会话
  hongyan: createHongyan({ baseUrl: "http://127.0.0.1:8700", login: true }),
});
