export function buildDist(options?: { readonly force?: boolean; readonly clean?: boolean; readonly types?: boolean }): Promise<boolean>
