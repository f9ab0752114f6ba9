export function buildDist(options?: { readonly force?: boolean; readonly types?: boolean }): Promise<boolean>
