// 点击卡片打开：pages/notice/notice?kind=fee&room=3-1201
Page({
  onLoad(query) {
    this.setData({ query });
  },
});
