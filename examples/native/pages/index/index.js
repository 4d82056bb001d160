const { hongyan } = getApp();

Page({
  data: { ids: [], problem: "" },

  // 模板在点击之前取好
  onShow() {
    hongyan.ready().then(
      ({ template_ids }) => this.setData({ ids: template_ids, problem: "" }),
      ({ message, errMsg }) => this.setData({ problem: message || errMsg }),
    );
  },

  // 在点击中直接调用
  onSubscribe() {
    hongyan.subscribe(null, {
      success: () => this.setData({ ids: hongyan.ask.template_ids }),
      fail: (error) => (error.settings ? hongyan.guide() : this.setData({ problem: error.message })),
    });
  },
});
