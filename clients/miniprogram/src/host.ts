// The part of `wx` or `uni` that the kit calls. Used by everything here; a test hands in its own.

/** How every call of a mini program is made. */
export interface Callbacks<T, F = unknown> {
  success?: (result: T) => void;
  fail?: (failure: F) => void;
  complete?: (result: T | F) => void;
}

/** What the kit needs of `wx` (or of `uni`, which is the same in a mini program). */
export interface Host {
  requestSubscribeMessage?: (options: {
    tmplIds: string[];
    success?: (result: any) => void;
    fail?: (failure: any) => void;
  }) => unknown;
  getSetting?: (options: { withSubscriptions?: boolean; success?: (result: any) => void; fail?: (failure: any) => void }) => unknown;
  openSetting?: (options: { withSubscriptions?: boolean; success?: (result: any) => void; fail?: (failure: any) => void }) => unknown;
  showModal?: (options: {
    title?: string;
    content?: string;
    confirmText?: string;
    success?: (result: any) => void;
    fail?: (failure: any) => void;
  }) => unknown;
  login?: (options: { success?: (result: any) => void; fail?: (failure: any) => void }) => unknown;
  request?: (options: any) => unknown;
  getStorageSync?: (key: string) => any;
  setStorageSync?: (key: string, data: any) => unknown;
  getAccountInfoSync?: () => any;
}

declare const wx: Host | undefined;
declare const uni: Host | undefined;

/** The host of the running mini program: WeChat's own `wx` where there is one, else `uni`. */
export function findHost(): Host {
  const here = [typeof wx === "undefined" ? undefined : wx, typeof uni === "undefined" ? undefined : uni];
  return here.filter((one) => one && one.requestSubscribeMessage)[0] || here[0] || here[1] || {};
}

/** Promise or callbacks, as the caller likes: with a callback, nothing is returned and nothing stays unhandled. */
export function answer<T, F>(promise: Promise<T>, callbacks?: Callbacks<T, F>): Promise<T> | undefined {
  const { success, fail, complete } = callbacks || ({} as Callbacks<T, F>);
  if (!success && !fail && !complete) return promise;
  promise.then(
    (result) => {
      if (success) success(result);
      if (complete) complete(result);
    },
    (failure) => {
      if (fail) fail(failure);
      if (complete) complete(failure);
    },
  );
  return undefined;
}
