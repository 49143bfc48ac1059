/* The search of the site runs in a web worker, which browsers refuse to pages opened from the disk.
   There this stands in for it: the worker's script runs in a hidden frame. (The theme's offline
   plugin would load such a stand-in from the network; a polyfill with this name keeps it from that.) */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.onmessage = null
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.appendChild(this.frame)
      const inner = this.frame.contentWindow
      this.receive = event => {
        if (event.source !== inner) return
        this.dispatchEvent(new MessageEvent("message", { data: event.data }))
        if (this.onmessage) this.onmessage(event)
      }
      window.addEventListener("message", this.receive)
      const load = urls => urls.reduce((before, source) => before.then(() => new Promise(done => {
        const script = inner.document.createElement("script")
        script.src = source
        script.onload = done
        inner.document.body.appendChild(script)
      })), Promise.resolve())
      inner.document.open()
      inner.document.write("<!doctype html><html><body></body></html>")
      inner.document.close()
      inner.importScripts = (...urls) => load(urls)
      inner.postMessage = data => inner.parent.dispatchEvent(
        new MessageEvent("message", { data, source: inner })
      )
      this.ready = load([new URL(url, location.href).href])
    }
    postMessage(data) {
      const inner = this.frame.contentWindow
      this.ready.then(() => inner.dispatchEvent(new inner.MessageEvent("message", { data })))
    }
    terminate() {
      window.removeEventListener("message", this.receive)
      this.frame.remove()
    }
  }
}
