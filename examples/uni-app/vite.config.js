import uni from "@dcloudio/vite-plugin-uni";
import { defineConfig } from "vite";

// The plug-in is CommonJS: in an ES module its function lies one deeper.
export default defineConfig({ plugins: [(uni.default ?? uni)()] });
