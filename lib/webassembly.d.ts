/** The part of WebAssembly that is used here; the types of the language alone do not have it. */
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: {
      /** Pages of 64 KiB. */
      readonly initial: number;
      readonly maximum: number;
      readonly shared: true;
    });
    readonly buffer: SharedArrayBuffer;
  }

  class Module {
    constructor(bytes: Uint8Array);
  }

  class Instance {
    constructor(
      module: Module,
      imports?: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
    );
    readonly exports: Readonly<Record<string, unknown>>;
  }
}
